"""The past of a saga: the log of its events, and what its services noted of their own work."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import json

from ecom.contract.contract import Event, subject_of
from ecom.runtime import streams
from ecom.runtime.saga import Saga
from ecom.runtime.streams import within
from ecom.runtime.tables import Handled, Inbox, Outbox, Received
from ecom.stores.base import R, Row
from ecom.stores.reader import Reader


class Logged(NamedTuple):
    """One event of a log."""

    id: str
    causation: str  # id of the event, command, timer or answer that led to it
    event: Event
    correlation: str  # id of the command that began the saga

    @property
    def subject(self) -> str:
        """The saga that it belongs to."""
        return subject_of(self.event)


class Note(NamedTuple):
    """A message that a service has handled, as it has noted it (see `Handled`)."""

    now: float  # what the service's clock said
    id: str | int
    type: str = ""  # of an event there is only the id
    message: Any = None


@dataclass(frozen=True, eq=False)
class Past:
    """All there is to tell a saga's history from.

    The handlers of `saga` must do again what they did then: a setting that has changed since has
    its old value in them. `given` are rows that were there before anything was handled.
    """

    folder: Path  # where the services' databases are
    saga: Saga
    log: Sequence[Logged]
    given: Mapping[str, Sequence[Row]] = field(default_factory=dict)  # by service

    @cached_property
    def services(self) -> tuple[str, ...]:
        """Those that do something: whoever consumes everything keeps the log."""
        contract = self.saga.contract
        return tuple(name for name in contract.services if not contract.consumes_all(name))

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Each event's number in the log, by its id; from 1."""
        return {logged.id: n for n, logged in enumerate(self.log, 1)}

    def logged(self, id_: str) -> Logged:
        """The event of this id."""
        return self.log[self.numbers[id_] - 1]

    def rows(self, service: str, kind: type[R], **conditions: Any) -> list[R]:
        """The rows of a service's database that meet the conditions, by their keys."""
        with Reader(self.folder) as reader:
            return reader[service].rows(kind, **conditions)

    def all_rows(self, kind: type[R], subject: str) -> list[tuple[str, R]]:
        """The rows of one saga in all services' databases, each with its service."""
        found = ((name, self.rows(name, kind, subject=subject)) for name in self.services)
        return [(name, row) for name, rows in found for row in rows]

    def notes_of(self, service: str) -> Iterator[Note]:
        """All that a service has handled, in order."""
        for row in self.rows(service, Handled):
            for it in row.messages:
                yield Note(row.at, it) if isinstance(it, str) else Note(row.at, *it)

    def forgotten(self, service: str) -> Iterator[str]:
        """The ids of the events that a service has handled so long ago that it has no row of them:
        by their numbers, or because not even their producer has rows of them any more."""
        known = {row.id for row in self.rows(service, Inbox)}
        came = streams.came(self.rows(service, Received))
        rows = [row for it in self.services for row in self.rows(it, Outbox)]
        sent = {row.id: (row.type + row.stream, row.number) for row in rows}
        consumed = self.saga.contract.consumed_by(service)
        for logged in self.log:
            stream, number = sent.get(logged.id, ("", 0))
            has_come = not stream or within(came.get(stream, ()), number, number)
            if logged.event.key in consumed and logged.id not in known and has_come:
                yield logged.id


def published(saga: Saga, folder: Path) -> list[Logged]:
    """The log of whoever keeps none: what is still in the outboxes, in the order of its times."""
    with Reader(folder) as reader:
        rows = [row for it in saga.services for row in reader[it].rows(Outbox, exchange="events")]
    rows.sort(key=lambda row: row.created_at)
    kinds = saga.contract.by_key

    def logged(row: Outbox) -> Logged:
        event, told = json.decode(row.body, type=kinds[row.type]), row.headers
        return Logged(row.id, told["ce-causationid"], event, told["ce-correlationid"])

    return [logged(row) for row in rows]
