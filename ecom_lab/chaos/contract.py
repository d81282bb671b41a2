"""Release N+1 of the contract: one event has learned a field that release N does not know."""

from ecom import events


class OrderCreated(events.OrderCreated, frozen=True):
    """A customer's order was accepted; it may be a gift."""

    version = 2

    gift_note: str = "with love"


def install() -> None:
    """Make this process one of release N+1: before any service is imported."""
    events.OrderCreated = OrderCreated
    events.EVENTS[OrderCreated.key] = OrderCreated
