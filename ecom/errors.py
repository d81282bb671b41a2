"""What can go wrong for somebody who holds a shop: each error's text says what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

OURS = ("ecom", "ecom_lab", "benchmarks")


class ShopError(Exception):
    """Something the reader of a notebook or of a terminal can mend; never needs a traceback."""


class ShopBusy(ShopError):
    """Another process has this shop open."""


class ServiceDied(ShopError):
    """A service ended though nobody asked it to."""


class ServiceDown(ShopError):
    """The service that is needed is not running."""


class OrderRefused(ShopError):
    """The order service did not accept what it was sent; nothing of it was done."""


class NotSettled(ShopError):
    """The shop was not quiet within the time given; the text says what is still awaited."""


class NotInstalled(ShopError, ImportError):
    """A package that services do without is missing."""


@contextmanager
def all_installed() -> Iterator[None]:
    """Around imports of what an extra brings: if it is missing, `NotInstalled` says what to do."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] in OURS:
            raise
        raise NotInstalled(
            f"This needs {error.name}, which is not installed. Install ecom's wheel with extras: "
            "`pip install 'ecom-….whl[notebook,lab]'`; services need neither."
        ) from error
