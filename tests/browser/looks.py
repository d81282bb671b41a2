"""What is asked of every notebook in the browser."""

import io

from lab import Lab, Notebook, until
from PIL import Image
from playwright.sync_api import Browser, Page

CONTRAST = 4.5  # of words and what is behind them: WCAG 2, AA
# Words of outputs that are too faint; those in an SVG are on paper of their own.
FAINT = """least => {
    const numbers = colour => (colour.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number)
    const behind = it => {
        if (!it) return [255, 255, 255]
        const [r, g, b, alpha = 1] = numbers(getComputedStyle(it).backgroundColor)
        if (alpha === 0) return behind(it.parentElement)
        const under = alpha < 1 ? behind(it.parentElement) : [0, 0, 0]
        return [r, g, b].map((each, i) => each * alpha + under[i] * (1 - alpha))
    }
    const light = colour => colour.slice(0, 3)
        .map(each => each / 255)
        .map(each => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4)
        .reduce((sum, each, i) => sum + each * [0.2126, 0.7152, 0.0722][i], 0)
    const contrast = it => {
        const both = [numbers(getComputedStyle(it).color), behind(it)].map(light)
        return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05)
    }
    const words = it => [...it.childNodes].some(each => each.nodeType === 3 && each.data.trim())
    return [...document.querySelectorAll(".jp-OutputArea-output *")]
        .filter(it => words(it) && !it.closest("svg") && contrast(it) < least)
        .map(it => [it.outerHTML.slice(0, 200), contrast(it)])
}"""
# What reaches beyond the window and does not scroll in a box of its own.
WIDER = """root => [...document.querySelectorAll(`${root} *`)].filter(it => {
    for (let box = it; !box.matches(root); ) {
        box = box.parentElement
        if (["auto", "scroll"].includes(getComputedStyle(box).overflowX)) return false
    }
    return it.getBoundingClientRect().right > window.innerWidth
}).map(it => it.outerHTML.slice(0, 200))"""
# How wide pictures are shown, and how wide they are meant to be read.
WIDTHS = """() => [...document.querySelectorAll(".jp-OutputArea-output img[width]")]
    .map(it => [it.clientWidth, Number(it.getAttribute("width"))])"""
SCREEN, TELEPHONE = {"width": 1280, "height": 1000}, {"width": 400, "height": 800}
COLOURS, BLANK = 16, 0.995  # a picture has more colours, and less of its commonest one


def is_drawn(png: bytes) -> bool:
    """Whether there is something to see: lines and letters, not an empty frame."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    counts = [count for count, _ in picture.getcolors(picture.width * picture.height)]
    return len(counts) > COLOURS and max(counts) < BLANK * sum(counts)


def pictures_in(cells: list[dict]) -> int:
    """How many outputs are pictures."""
    kinds = {"image/png", "image/svg+xml"}
    return sum(
        bool(kinds & set(output.get("data", {}))) for cell in cells for output in cell["outputs"]
    )


def run_and_look(lab: Lab, browser: Browser, name: str) -> None:
    """Open it, Run All, see that all is well and drawn, shut it down; nothing is left running."""
    page = browser.new_page(viewport=SCREEN)
    try:
        notebook = Notebook(lab, page, name)
        notebook.run_all()
        pictures = look(notebook)
        look_on_a_telephone(page, pictures)
        page.set_viewport_size(SCREEN)  # where there are menus
        notebook.shut_down()
        until(lambda: len(lab.processes()) == 1)  # the server itself
    finally:
        page.close()
        lab.clear()


def look(notebook: Notebook) -> int:
    """All cells were run, in order, without a complaint, and what they draw and say is seen; how
    many outputs are pictures."""
    cells = notebook.saved()
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    complaints = [output["text"] for output in outputs if output.get("name") == "stderr"]
    assert not complaints, complaints
    pictures = notebook.pictures()
    assert len(pictures) >= pictures_in(cells)
    assert all(map(is_drawn, pictures))
    assert notebook.page.evaluate(FAINT, CONTRAST) == []
    return pictures_in(cells)


def look_on_a_telephone(page: Page, pictures: int) -> None:
    """At 400 pixels what is wide scrolls in its own output, and no picture is shrunk."""
    page.set_viewport_size(TELEPHONE)
    page.keyboard.press("Control+b")  # the list of files, which leaves no room
    page.wait_for_selector("#jp-left-stack", state="hidden")
    assert page.evaluate(WIDER, ".jp-OutputArea-output") == []
    widths = page.evaluate(WIDTHS)
    assert len(widths) >= pictures
    assert [(shown, meant) for shown, meant in widths if shown < meant] == []
