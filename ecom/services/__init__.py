"""The five services: what each does about each event. Domain only; the machinery is next door."""

from ecom.runtime.service import Service
from ecom.services import audit, inventory, notification, order, payment


def service_named(name: str, hold_seconds: float = 900.0) -> Service:
    """One of the five services. Raises `KeyError` for any other name."""
    services = {
        "order": order.service,
        "inventory": lambda: inventory.service(hold_seconds),
        "payment": payment.service,
        "notification": notification.service,
        "audit": audit.service,
    }
    return services[name]()
