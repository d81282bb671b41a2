"""A JupyterLab and a browser. Every notebook: `make browser`; in the suite, the first one."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "notebooks"

# Minutes, with the browser: collected if asked for by name.
collect_ignore = ["test_jupyterlab.py", "test_book.py"]


@pytest.fixture(scope="module")
def browser():
    """Chromium. Module by module, as its driver keeps an event loop going meanwhile."""
    pytest.importorskip("playwright", reason="playwright is not installed")
    from lab import browsing, chromium

    if not chromium():
        pytest.skip("there is no Chromium here: install it to see the notebooks in a browser")
    with browsing() as browser:
        yield browser


@pytest.fixture(scope="module")
def lab(broker, browser, tmp_path_factory):
    """A JupyterLab with the notebooks; their shops find the session's broker running."""
    from lab import Lab

    with Lab(tmp_path_factory.mktemp("lab"), sorted(NOTEBOOKS.glob("*.ipynb"))).running() as lab:
        yield lab
