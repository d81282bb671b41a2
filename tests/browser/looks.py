"""What is asked of every notebook in the browser."""

import io

from lab import Lab, Notebook, until
from PIL import Image
from playwright.sync_api import Browser

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
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    try:
        notebook = Notebook(lab, page, name)
        notebook.run_all()
        look(notebook)
        notebook.shut_down()
        until(lambda: len(lab.processes()) == 1)  # the server itself
    finally:
        page.close()
        lab.clear()


def look(notebook: Notebook) -> None:
    """All cells were run, in order, without a complaint, and what they draw is seen."""
    cells = notebook.saved()
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    complaints = [output["text"] for output in outputs if output.get("name") == "stderr"]
    assert not complaints, complaints
    pictures = notebook.pictures()
    assert len(pictures) >= pictures_in(cells)
    assert all(map(is_drawn, pictures))
