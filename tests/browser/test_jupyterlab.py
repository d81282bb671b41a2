"""Every notebook, opened and run in JupyterLab in a real browser: `make browser`."""

import nbformat
import pytest
from conftest import ALL
from lab import PICTURES, Notebook, until
from looks import is_drawn, run_and_look
from nbformat.v4 import new_code_cell, new_notebook

STUCK = """\
from ecom import Shop
shop = Shop().open()
shop.gateway(down=True)
shop.place("ada@example.com", {"KITE": 1})"""


@pytest.mark.parametrize("name", [path.name for path in ALL])
def test_a_notebook_runs_to_its_bottom_and_is_drawn(lab, browser, name):
    """As a reader would: open, Run All, look, shut down the kernel; no process is left behind."""
    run_and_look(lab, browser, name)


def test_the_live_view_is_drawn_while_an_order_waits(lab, browser):
    """It is there while the cell runs, not only when it has ended."""
    cells = [new_code_cell(source) for source in (STUCK, "shop.watch()", "shop.close()")]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    nbformat.write(new_notebook(cells=cells, metadata=metadata), lab.notebooks / "live.ipynb")
    page = browser.new_page()
    notebook = Notebook(lab, page, "live.ipynb")
    notebook.choose("Run", "runmenu:run-all")
    page.wait_for_selector("text=[1]:")
    # Where it is, not the element: each update puts a new one there.
    place = page.locator(PICTURES).first.bounding_box()
    assert is_drawn(page.screenshot(clip=place))
    assert page.locator("text=[*]:").count() == 2
    page.close()
    lab.clear()
    until(lambda: len(lab.processes()) == 1)  # the server itself
