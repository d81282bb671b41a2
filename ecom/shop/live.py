"""What the live view shows of a shop: its orders, by state."""

from pathlib import Path

from ecom.harness.diagrams.live.glance import Counted, Onlooker
from ecom.sagas.choreography import choreography
from ecom.services import order

ORDERS = Counted(
    noun="orders",
    service="order",
    query="SELECT state, count(*) FROM orders GROUP BY state",  # by an index
    lifecycle=order.TRANSITIONS[order.Order],
)


def onlooker(folder: Path) -> Onlooker:
    """Whoever looks at the shop in `folder`, which need not be open."""
    return Onlooker(choreography().contract, folder, ORDERS)
