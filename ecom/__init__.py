"""ecom: the Saga pattern (choreography) for a small shop, on a real RabbitMQ.

Start at `Shop`, which is what a notebook holds; then read `ecom.events` (what the services
publish), `ecom.services` (what they do about it) and `ecom.runtime.service` (how it stays correct).
"""

__all__ = ["Shop"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import `Shop` (and pandas with it) only when it is used: services never do."""
    if name == "Shop":
        from ecom.settings import all_installed

        with all_installed():
            from ecom.shop.shop import Shop

        return Shop
    raise AttributeError(f"module 'ecom' has no attribute {name!r}")
