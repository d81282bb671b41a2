"""Errors that a user of a shop can mend: each error's text says what to do."""


class ShopError(Exception):
    """An error that a user in a notebook or a terminal can mend; needs no traceback."""

    def _render_traceback_(self) -> list[str]:
        """What IPython shows instead of thirty lines of ours, the sentence last."""
        return [f"{type(self).__name__}: {self}"]


class ShopBusy(ShopError):
    """Another process has this shop open."""


class ServiceDied(ShopError):
    """A service ended without being stopped."""


class ServiceDown(ShopError):
    """The service that is needed is not running."""


class OrderRefused(ShopError):
    """An order, or a wish about one, was refused; nothing of it was done."""


class NotSettled(ShopError):
    """The shop was not settled within the time given; the text says what is still awaited."""


class NotInstalled(ShopError, ImportError):
    """A package that services do without is missing, or what this operating system lacks."""
