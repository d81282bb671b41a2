"""What the services' own tables say of one order: tries, dead letters, what is still to be done."""

from pathlib import Path
from typing import Any, NamedTuple

from ecom.harness.history.journal import ACTORS
from ecom.runtime.tables import Effect, Inbox, Outbox, Timer
from ecom.stores.query import key_of
from ecom.stores.reader import Database, Reader


class Tries(NamedTuple):
    """How a message or an effect fared: `done`, `waiting` or `pending`, `dead`."""

    state: str
    attempts: int
    last_error: str | None


class Burial(NamedTuple):
    """A dead letter, by its headers."""

    service: str
    id: str  # of the event or effect it was, if it had one
    reason: str
    error: str


class Traces(NamedTuple):
    """Everything of one order that is in no log."""

    inbox: dict[tuple[str, str], Tries]  # by service and event id
    effects: dict[str, Tries]  # by id
    dead: list[Burial]
    said: list[tuple[str, str, str, bool]]  # service, event id, type, whether the broker has it
    timers: list[tuple[str, str]]  # service, type


def traces_of(folder: Path, order_id: str) -> Traces:
    """Read them from every service's database."""
    found = Traces({}, {}, [], [], [])
    with Reader(folder) as reader:
        for service in ACTORS:
            _read(found, reader[service], service, order_id)
    return found


def _read(found: Traces, read: Database, service: str, order_id: str) -> None:
    columns = ("id", "state", "attempts", "last_error")
    for id_, *tries in read.values(Inbox, *columns, subject=order_id):
        found.inbox[service, id_] = Tries(*tries)
    for id_, *tries in read.values(Effect, *columns, subject=order_id):
        found.effects[id_] = Tries(*tries)
    for row in sorted(read.rows(Outbox, subject=order_id), key=key_of):
        if row.exchange == "dead":
            found.dead.append(_burial(service, row.id, row.headers))
        else:
            found.said.append((service, row.id, row.type, row.done_at is not None))
    for (type_,) in read.values(Timer, "type", subject=order_id):
        found.timers.append((service, type_))


def _burial(service: str, id_: str, headers: dict[str, Any]) -> Burial:
    return Burial(service, id_, headers.get("dead-reason", ""), headers.get("dead-exception", ""))
