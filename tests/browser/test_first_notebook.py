"""The notebook everybody opens first, in JupyterLab in a real browser. All: `make browser`."""


def test_the_first_notebook_runs_to_its_bottom_and_is_drawn(lab, browser):
    """As a reader would: open, Run All, look, shut down the kernel; no process is left behind."""
    from looks import run_and_look  # here: without a browser its driver may be missing, too

    run_and_look(lab, browser, "01_place_an_order.ipynb")
