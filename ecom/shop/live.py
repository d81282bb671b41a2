"""A shop as it stands: by what its sagas are counted (orders, by state), and if it may go."""

from collections.abc import Mapping
from pathlib import Path

from ecom.harness.quiescence import Counted, Monitor
from ecom.harness.workspace import Workspace, keep_secret, kept_secret
from ecom.runtime.saga import Saga
from ecom.sagas.choreography import choreography
from ecom.sagas.orchestration import orchestration
from ecom.services import order

ORDERS = Counted(
    noun="orders",
    service="order",
    kind=order.Order,
    lifecycle=order.service().transitions[order.Order],
)


SAGAS = {"shop": choreography, "orchestrated": orchestration}  # by the names of their contracts


def keep_saga(folder: Path, saga: Saga) -> None:
    """Note in the shop's folder which saga is played there."""
    keep_secret(folder / "saga", saga.contract.name)


def kept_saga(folder: Path) -> Saga:
    """The saga that is played in `folder`, as far as that is one of `SAGAS`; of a service that was
    made otherwise there, the one that comes with this package."""
    return SAGAS.get(kept_secret(folder / "saga") or "", choreography)()


def monitor(
    folder: Path, replayed: Mapping[str, int] | None = None, saga: Saga | None = None
) -> Monitor:
    """A monitor of the shop in `folder`, which need not be open."""
    return Monitor((saga or kept_saga(folder)).contract, folder, ORDERS, replayed)


def is_for_once(workspace: Workspace) -> bool:
    """Whether nobody will miss the queues: the shop was made up, or kept only to be read."""
    if workspace.is_temporary or workspace.is_named:
        return workspace.is_temporary
    with monitor(workspace.folder) as looking:
        return looking.look().nothing_left()


def by_number(order_id: str) -> tuple[int, str]:
    """Order numbers are texts: "999" comes before "1001"."""
    return len(order_id), order_id
