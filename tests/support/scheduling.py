"""Which tests run in one process when several do, for pytest-xdist."""

from functools import cache
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling


class Scheduling(LoadScopeScheduling):
    """The cells of a notebook stay together, and tests that share a shop: it is opened once.

    All others go, in the order of `testpaths`, to whichever process is free.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if _stays_together(self.config.rootpath / file) else nodeid


@cache
def _stays_together(file: Path) -> bool:
    return file.suffix == ".ipynb" or 'scope="module"' in file.read_text()
