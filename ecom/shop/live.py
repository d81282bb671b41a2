"""By what the sagas of a shop are counted: its orders, by state."""

from collections.abc import Mapping
from pathlib import Path

from ecom.harness.quiescence import Counted, Monitor
from ecom.sagas.choreography import choreography
from ecom.services import order

ORDERS = Counted(
    noun="orders",
    service="order",
    kind=order.Order,
    lifecycle=order.service().transitions[order.Order],
)


def monitor(folder: Path, replayed: Mapping[str, int] | None = None) -> Monitor:
    """A monitor of the shop in `folder`, which need not be open."""
    return Monitor(choreography().contract, folder, ORDERS, replayed)
