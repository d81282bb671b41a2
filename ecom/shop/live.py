"""What the live view shows of a shop: its orders, by state."""

from pathlib import Path

from ecom.harness.diagrams.live.glance import Onlooker
from ecom.harness.quiescence import Counted
from ecom.sagas.choreography import choreography
from ecom.services import order

ORDERS = Counted(
    noun="orders",
    service="order",
    kind=order.Order,
    lifecycle=order.service().transitions[order.Order],
)


def onlooker(folder: Path) -> Onlooker:
    """An onlooker of the shop in `folder`, which need not be open."""
    return Onlooker(choreography().contract, folder, ORDERS)
