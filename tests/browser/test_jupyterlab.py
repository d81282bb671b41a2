"""Every notebook, opened and run in JupyterLab in a real browser: `make browser`."""

import pytest
from conftest import NOTEBOOKS
from looks import run_and_look


@pytest.mark.parametrize("name", sorted(path.name for path in NOTEBOOKS.glob("*.ipynb")))
def test_a_notebook_runs_to_its_bottom_and_is_drawn(lab, browser, name):
    """As a reader would: open, Run All, look, shut down the kernel; no process is left behind."""
    run_and_look(lab, browser, name)
