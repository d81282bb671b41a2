"""ecom: the Saga pattern (choreography) for a small shop, on a real RabbitMQ.

Start at `Shop`, which is what a notebook holds; then read `ecom.events` (what the services
publish), `ecom.services` (what they do about it) and `ecom.runtime.service` (how it stays correct).
A saga of your own is made of the other names: see `docs/YOUR_OWN.md`.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "shop.shop": ("Shop",),
    "shop.attached": ("attach",),
    "contract.contract": ("Contract", "EVERYTHING", "Event"),
    "harness.running": ("Running",),
    "runtime.retry": ("Retry",),
    "runtime.saga": ("Saga",),
    "runtime.service": ("Impossible", "Lifecycle", "Service", "Work"),
    "stores.base": ("Row",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}
__all__ = [*_HOME]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import what is asked for (with `Shop`, pandas) only when it is used: services never do."""
    if name not in _HOME:
        raise AttributeError(f"module 'ecom' has no attribute {name!r}")
    from ecom.settings import all_installed

    with all_installed():
        return getattr(import_module(f"ecom.{_HOME[name]}"), name)
