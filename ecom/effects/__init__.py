"""Effects outside the shop, at a payment provider and a mail server, under idempotency keys."""

from collections.abc import Container
from urllib.parse import SplitResult, urlsplit

from ecom.errors import ShopError

# Seconds that a call over a network may take; its outcome is then unknown, and it is asked again.
TIMEOUT = 30.0


def parts_of(variable: str, url: str, schemes: Container[str], form: str) -> SplitResult:
    """The parts of the URL in this variable of the environment. Raises `ShopError`, which quotes
    none of it: there may be a password in it."""
    try:
        parts = urlsplit(url)
        if parts.scheme in schemes and parts.hostname and parts.port != 0:
            return parts
    except ValueError:  # whose text may quote a part of the password
        pass
    raise ShopError(
        f"{variable} must be like {form}, with all that is not a letter or a digit in user and "
        "password written as %40 and so on."
    )
