"""A JupyterLab and a browser. Every notebook: `make browser`; in the suite, the first one."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "notebooks"
# What the reader writes is there as its solution.
ALL = sorted([*NOTEBOOKS.glob("*.ipynb"), *NOTEBOOKS.glob("solutions/*.ipynb")])

pytest.register_assert_rewrite("lab", "looks")

# Minutes, with the browser: collected if asked for by name.
collect_ignore = ["test_jupyterlab.py", "test_book.py"]


@pytest.fixture(scope="module")
def browser():
    """Chromium. Module by module, as its driver keeps an event loop going meanwhile."""
    pytest.importorskip("playwright", reason="playwright is not installed")
    from lab import browsing, chromium

    if not chromium():
        refuse = pytest.fail if "CI" in os.environ else pytest.skip
        refuse("there is no Chromium here: `make setup-browser` installs it on Debian and Ubuntu")
    with browsing() as browser:
        yield browser


@pytest.fixture(scope="module")
def lab(broker, browser, tmp_path_factory):
    """A JupyterLab with the notebooks; their shops find the session's broker running."""
    from lab import Lab

    with Lab(tmp_path_factory.mktemp("lab"), ALL).running() as lab:
        yield lab
