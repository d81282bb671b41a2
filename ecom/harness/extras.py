"""Packages that services do without: a sentence in place of a traceback where one is missing."""

from collections.abc import Iterator
from contextlib import contextmanager

from ecom.errors import NotInstalled
from ecom.settings import UNIX, WrongPlatform

OURS = ("ecom", "ecom_lab", "benchmarks")


@contextmanager
def all_installed() -> Iterator[None]:
    """Around imports of what an extra brings: if it is missing, `NotInstalled` says what to do, or
    `WrongPlatform` where it cannot be had."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] in OURS:
            raise
        if error.name in UNIX:
            raise WrongPlatform(error.name) from error
        raise NotInstalled(
            f"This needs {error.name}, which is not installed. Install ecom's wheel with extras: "
            "`pip install 'ecom-….whl[notebook,lab]'`; services need neither."
        ) from error
