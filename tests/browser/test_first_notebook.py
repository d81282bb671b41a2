"""The notebook everybody opens first, in JupyterLab in a real browser. All: `make browser`."""

import json

from conftest import NOTEBOOKS


def test_the_first_notebook_runs_to_its_bottom_and_is_drawn(lab, browser):
    """As a reader would: open, Run All, look, shut down the kernel; no process is left behind."""
    from looks import run_and_look  # here: without a browser its driver may be missing, too

    run_and_look(lab, browser, "01_place_an_order.ipynb")


def test_to_open_and_save_a_notebook_leaves_its_metadata_as_committed(lab, browser):
    """All of it but the version of Python, which is the reader's."""
    from lab import Notebook

    page = browser.new_page()
    notebook = Notebook(lab, page, "00_start_here.ipynb")
    notebook.saved()
    saved, committed = (
        json.loads((folder / "00_start_here.ipynb").read_text())["metadata"]
        for folder in (lab.notebooks, NOTEBOOKS)
    )
    for metadata in (saved, committed):
        del metadata["language_info"]["version"]
    assert saved == committed
    page.close()
    lab.clear()
