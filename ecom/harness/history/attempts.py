"""What the services' own tables say of one order: tries, dead letters, what is still to be done."""

from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ecom.harness.history.journal import ACTORS
from ecom.stores.reader import rows

_INBOX = "SELECT id, state, attempts, last_error FROM inbox WHERE subject = ?"
_EFFECTS = "SELECT id, state, attempts, last_error FROM effects WHERE subject = ?"
_DEAD = "SELECT id, headers FROM outbox WHERE subject = ? AND exchange = 'dead' ORDER BY seq"
_SAID = (
    "SELECT id, type, done_at FROM outbox WHERE subject = ? AND exchange = 'events' ORDER BY seq"
)
_TIMERS = "SELECT type FROM timers WHERE subject = ?"


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
    for service in ACTORS:
        _read(found, folder, service, (order_id,))
    return found


def _read(found: Traces, folder: Path, service: str, order: tuple[str]) -> None:
    for id_, *tries in rows(folder, service, _INBOX, order):
        found.inbox[service, id_] = Tries(*tries)
    for id_, *tries in rows(folder, service, _EFFECTS, order):
        found.effects[id_] = Tries(*tries)
    for id_, headers in rows(folder, service, _DEAD, order):
        found.dead.append(_burial(service, id_, msgspec.json.decode(headers)))
    for id_, type_, done_at in rows(folder, service, _SAID, order):
        found.said.append((service, id_, type_, done_at is not None))
    found.timers.extend((service, type_) for (type_,) in rows(folder, service, _TIMERS, order))


def _burial(service: str, id_: str, headers: dict[str, Any]) -> Burial:
    return Burial(service, id_, headers.get("dead-reason", ""), headers.get("dead-exception", ""))
