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


class WrongPlatform(ShopError, ImportError):
    """This operating system lacks a module of Python that a shop needs."""

    def __init__(self, module: object) -> None:
        super().__init__(
            "ecom runs on Linux and macOS, and on Windows within WSL (`wsl --install`): it needs "
            f"Python's {module}, which is not there."
        )


# What Python has on Linux and macOS only.
UNIX = ("fcntl", "grp", "pwd", "resource", "termios")


class NotInstalled(ShopError, ImportError):
    """A package that services do without is missing."""
