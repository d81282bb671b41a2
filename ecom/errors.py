"""What can go wrong for somebody who holds a shop: each error's text says what to do."""


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
