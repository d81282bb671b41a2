"""A shop as it stands, and which saga is played there."""

from pathlib import Path

from ecom.harness.quiescence import Monitor
from ecom.runtime.saga import Saga
from ecom.sagas.choreography import choreography
from ecom.sagas.orchestration import orchestration
from ecom.settings import keep_secret, kept_secret

SAGAS = {"shop": choreography, "orchestrated": orchestration}  # by the names of their contracts


def keep_saga(folder: Path, saga: Saga) -> None:
    """Note in the shop's folder which saga is played there."""
    keep_secret(folder / "saga", saga.contract.name)


def kept_saga(folder: Path) -> Saga:
    """The saga that is played in `folder`, as far as that is one of `SAGAS`; of a service that was
    made otherwise there, the one that comes with this package."""
    return SAGAS.get(kept_secret(folder / "saga") or "", choreography)()


def monitor(folder: Path, saga: Saga | None = None) -> Monitor:
    """A monitor of the shop in `folder`, which need not be open."""
    return Monitor(saga or kept_saga(folder), folder)
