"""Which tests run in one process when several do: a hook of pytest-xdist, for each conftest.py."""

from functools import cache
from pathlib import Path

import pytest


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """The cells of a notebook stay together, and tests that share a shop: it is opened once.

    All others go, in the order of `testpaths`, to whichever process is free.
    """
    from xdist.scheduler import LoadScopeScheduling  # here: not everybody has it

    def scope(nodeid):
        file = nodeid.partition("::")[0]
        return file if _stays_together(config.rootpath / file) else nodeid

    scheduling = LoadScopeScheduling(config, log)
    scheduling._split_scope = scope
    return scheduling


@cache
def _stays_together(file: Path) -> bool:
    return file.suffix == ".ipynb" or 'scope="module"' in file.read_text()
