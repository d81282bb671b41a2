"""The report of a sweep, in a real browser."""

import pytest
from sweeping import write_page


@pytest.mark.parametrize("width", [400, 1200])
def test_the_page_is_no_wider_than_the_window(browser, tmp_path, width):
    """What is wider scrolls in a box of its own; plots keep the size in which they are readable."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(write_page(tmp_path).as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == width
    shown = page.evaluate("[...document.images].map(it => [it.clientWidth, it.naturalWidth])")
    assert len(shown) == 2
    assert all(there == meant > 0 for there, meant in shown)
    page.close()
