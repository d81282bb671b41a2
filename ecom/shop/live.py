"""A shop as it stands: by what its sagas are counted (orders, by state), and if it may go."""

from collections.abc import Mapping
from pathlib import Path

from ecom.harness.quiescence import Counted, Monitor
from ecom.harness.workspace import Workspace
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


def is_for_once(workspace: Workspace) -> bool:
    """Whether nobody will miss the queues: the shop was made up, or kept only to be read."""
    if workspace.is_temporary or workspace.is_named:
        return workspace.is_temporary
    with monitor(workspace.folder) as looking:
        return looking.look().nothing_left()


def by_number(order_id: str) -> tuple[int, str]:
    """Order numbers are texts: "999" comes before "1001"."""
    return len(order_id), order_id
