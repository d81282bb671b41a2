"""The book of the course, made and read without a network: `make browser`."""

import subprocess
import sys

import pytest
from conftest import ROOT

COMMAND = [sys.executable, "-m", "sphinx", "-q", "-E", "-W", "--keep-going", "-c", "docs/book", "."]


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """Made as `make book` does: a warning is an error."""
    folder = tmp_path_factory.mktemp("book")
    subprocess.run([*COMMAND, folder], cwd=ROOT, check=True)
    return folder


@pytest.fixture(params=[("light", 1280), ("dark", 400)], ids=str)
def page(browser, request):
    """A page that fails to reach anything but files; and nothing complains."""
    scheme, width = request.param
    size = {"width": width, "height": 900}
    context = browser.new_context(viewport=size, color_scheme=scheme)
    asked, errors = [], []
    context.on("request", lambda it: asked.append(it.url))
    context.on("weberror", lambda it: errors.append(it.error))
    yield context.new_page()
    context.close()
    assert errors == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def test_every_notebook_is_a_chapter(book):
    """Also one that is added: the table of contents is the syllabus'."""
    contents = (book / "docs" / "COURSE.html").read_text()
    for path in (ROOT / "notebooks").rglob("*.ipynb"):
        assert f'href="../{path.relative_to(ROOT).with_suffix(".html")}"' in contents


def test_one_searches_it_without_a_network(book, page):
    """From the first page, by a word of one notebook's output; the first hit leads there."""
    page.goto((book / "index.html").as_uri())
    page.wait_for_url("**/docs/COURSE.html")
    if page.locator(".sidebar-search").is_hidden() or page.viewport_size["width"] < 1000:
        page.click("label[for=__navigation]:visible")
    page.fill(".sidebar-search", "tombstone")
    page.press(".sidebar-search", "Enter")
    page.click("#search-results li a >> text=Run out of stock")
    assert page.locator("article h1").inner_text().startswith("Run out of stock")


def test_no_page_is_wider_than_its_window(book, page):
    """All pictures are there; what is wide scrolls in a box of its own."""
    from looks import WIDER  # here: without a browser its driver may be missing, too

    for path in sorted([*book.glob("docs/*.html"), *book.glob("notebooks/**/*.html")]):
        page.goto(path.as_uri())
        assert page.evaluate(WIDER, "article") == [], path.name
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path.name
        assert page.evaluate("[...document.images].every(it => it.naturalWidth)"), path.name


def test_its_light_is_switched(book, page):
    """By the button of the theme; the browser keeps it."""
    page.goto((book / "docs" / "GLOSSARY.html").as_uri())
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    for _ in range(2):  # auto, light, dark, and round
        page.click("button.theme-toggle:visible")
        if page.evaluate("getComputedStyle(document.body).backgroundColor") != before:
            return
    raise AssertionError("it stays as it is")
