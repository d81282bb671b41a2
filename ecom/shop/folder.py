"""What a shop's folder keeps beside databases: which saga is played there, and its API's token."""

import os
import secrets
from pathlib import Path

from ecom.harness.quiescence import Monitor
from ecom.runtime.saga import Saga
from ecom.sagas.choreography import choreography
from ecom.sagas.orchestration import orchestration
from ecom.settings import check_token_form, read_private, write_private

SAGAS = {"shop": choreography, "orchestrated": orchestration}  # by the names of their contracts


def keep_saga(folder: Path, saga: Saga) -> None:
    """Note in the shop's folder which saga is played there."""
    write_private(folder / "saga", saga.contract.name)


def kept_saga(folder: Path) -> Saga:
    """The saga that is played in `folder`, as far as that is one of `SAGAS`; of a service that was
    made otherwise there, the one that comes with this package."""
    return SAGAS.get(read_private(folder / "saga") or "", choreography)()


def monitor(folder: Path) -> Monitor:
    """A monitor of the shop in `folder`, which need not be open."""
    return Monitor(kept_saga(folder), folder)


def token_file(folder: Path) -> Path:
    """Where the token lies, which only the owner reads. Removed while the shop is closed, the next
    one is new."""
    return folder / "http-token"


def kept_token(folder: Path) -> str | None:
    """The token of the shop in `folder`: `ECOM_HTTP_TOKEN`, else what is kept, if anything."""
    return os.environ.get("ECOM_HTTP_TOKEN") or read_private(token_file(folder))


def keep_token(folder: Path) -> str:
    """`ECOM_HTTP_TOKEN`, else what is kept, else a new one; kept for the owner's terminals."""
    token = kept_token(folder) or secrets.token_urlsafe(32)
    check_token_form(token)
    write_private(token_file(folder), token)
    return token
