"""The past of a saga: the log of its events, and what its services handled, replayed.

Replay: a service's real handlers run again, on tables in memory, on what they handled then. Each
service by itself, in the order that it wrote down. Event ids are derived from their causes, so what
the handlers publish now can be held against the log. A fraction of a millisecond a message.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct, json

from ecom.contract.contract import Event, subject_of
from ecom.contract.envelope import derived_id
from ecom.errors import ShopError
from ecom.runtime.saga import Saga
from ecom.runtime.service import Cause, Work, timer_id
from ecom.runtime.tables import Effect, Handled, Outbox, Timer
from ecom.stores.base import R, Row, Transaction
from ecom.stores.memory import MemoryStore
from ecom.stores.reader import Reader


class CannotReplay(ShopError):
    """The handlers do not do again what the log says they did."""


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

    def rows(self, service: str, kind: type[R], **conditions: Any) -> list[R]:
        """The rows of a service's database that meet the conditions, by their keys."""
        with Reader(self.folder) as reader:
            return reader[service].rows(kind, **conditions)

    def all_rows(self, kind: type[R], subject: str) -> list[tuple[str, R]]:
        """The rows of one saga in all services' databases, each with its service."""
        return [(it, row) for it in self.services for row in self.rows(it, kind, subject=subject)]


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


# ── replayed ──────────────────────────────────────────────────────────────────────────────────
class Handling(NamedTuple):
    """One message handled by one service, and what came of it."""

    service: str
    how: str  # it came as an "event", a "command", a "timer" or an "answer"
    cause: str  # id of the event, or of the command, timer or answer
    message: Struct
    effect: Effect | None = None  # that it answers
    published: Mapping[str, Event] = {}  # by id
    requested: Sequence[Effect] = ()
    changes: Sequence[tuple[Row | None, Row | None]] = ()  # before, after: rows of the saga watched

    def concerns(self, subject: str) -> bool:
        """Whether it has to do with this saga. Of a command, what came of it tells."""
        if self.how != "command" and subject_of(self.message) == subject:
            return True
        subjects = {subject_of(event) for event in self.published.values()}
        return subject in subjects.union(effect.subject for effect in self.requested)


def tables_at(past: Past, n: int) -> dict[type[Row], list[Row]]:
    """All services' own rows after the first `n` events of the log. Raises `CannotReplay`.

    Each service is in a state in which it really was: just before it handled or published a later
    event.
    """
    tables = {}
    for name in past.services:
        service = Replay(past, name, until=n)
        for _ in service.handlings():
            pass
        tables |= {kind: service.tx[kind].where() for kind in past.saga.services[name].rows}
    return tables


class Replay:
    """One service, from the first message that it handled to the last before any event that comes
    after the first `until` of the log; watching the rows of one saga."""

    def __init__(self, past: Past, name: str, until: float = inf, watched: str = "") -> None:
        self.tx = Transaction(MemoryStore())
        self._past, self._name, self._until, self._watched = past, name, until, watched
        self._service = past.saga.services[name]
        self._owed: dict[str, list[Logged]] = {}  # what it has yet to publish again, by cause
        for logged in past.log:
            if logged.event.producer == name:
                self._owed.setdefault(logged.causation, []).append(logged)
        for row in past.given.get(name, ()):
            self.tx[type(row)].put(row)

    def handlings(self) -> Iterator[Handling]:
        """Handle it all again. Raises `CannotReplay`."""
        for row in self._past.rows(self._name, Handled):
            for note in row.messages:
                try:
                    handling = self._again(note, row.at)
                except CannotReplay:
                    raise
                except Exception as error:
                    what = f"{self._name} now raises {type(error).__name__}: {error}"
                    raise self._trouble(what) from error
                if handling is None:
                    return
                yield handling
        if self._first_owed():
            raise self._trouble(f"{self._name} has no note of what led to it")

    def _again(self, note: Any, now: float) -> Handling | None:
        """Handle one message again, as `Handled` notes it; None if it is later, or not in the log
        yet."""
        numbers = self._past.numbers
        if isinstance(note, str) and note not in numbers:
            if self._first_owed():
                raise self._trouble(f"{self._name} has handled an event that is not in the log")
            return None
        read, correlation = self._read(note)
        owed = self._owed.get(read.cause, ())  # nothing any more, if a command was repeated
        if any(numbers.get(id_, 0) > self._until for id_ in (read.cause, *(it.id for it in owed))):
            return None
        handling = self._handle(read, correlation, now)
        for then in owed:
            event = handling.published.get(then.id)
            if event != then.event:
                others = ", ".join(it.key for it in handling.published.values()) or "nothing"
                what = "it otherwise" if event else others
                raise self._trouble(f"{self._name} now publishes {what}", then)
        self._owed.pop(read.cause, None)
        return handling

    def _read(self, note: Any) -> tuple[Handling, str]:
        """A message as it came, nothing of which is done yet, and the id of its saga."""
        if isinstance(note, str):
            logged = self._past.log[self._past.numbers[note] - 1]
            return Handling(self._name, "event", note, logged.event), logged.correlation
        id_, type_, value = note
        kind = self._service.kinds.get(type_)
        message = msgspec.convert(value, kind)
        if isinstance(id_, int):
            effect = self.tx[Effect][id_]
            cause = derived_id(effect.id, type_)
            return Handling(self._name, "answer", cause, message, effect), effect.correlation
        timer = self.tx[Timer].get(timer_id(kind, subject_of(message)))
        how = "timer" if timer else "command"
        return Handling(self._name, how, id_, message), timer.correlation if timer else id_

    def _handle(self, read: Handling, correlation: str, now: float) -> Handling:
        before = self._rows()
        outbox, effects = self.tx.counted("outbox"), self.tx.counted("effects")
        work = Work(self._name, "1", "", self.tx, 0, Cause(read.cause, correlation, ""), now)
        self._service.handlers[type(read.message)](read.message, work)
        kinds = self._past.saga.contract.by_key
        sent = {
            row.id: json.decode(row.body, type=kinds[row.type])
            for row in self._added(Outbox, outbox)
        }
        changes = [pair for pair in zip(before, self._rows(), strict=True) if pair[0] != pair[1]]
        requested = self._added(Effect, effects)
        return read._replace(published=sent, requested=requested, changes=changes)

    def _added(self, kind: type[R], before: int) -> list[R]:
        """The rows that were numbered since there were so many."""
        return [self.tx[kind][seq + 1] for seq in range(before, self.tx.counted(kind.table))]

    def _rows(self) -> list[Row | None]:
        """The rows of the saga watched."""
        fields = self._service.subject_fields if self._watched else ()
        kinds = (kind for kind in self._service.rows if kind.__struct_fields__[0] in fields)
        return [self.tx[kind].get(self._watched) for kind in kinds]

    def _first_owed(self) -> Logged | None:
        """The first event to be published again, of those up to the last that is asked for."""
        owed = (logged for caused in self._owed.values() for logged in caused)
        return next((it for it in owed if self._past.numbers[it.id] <= self._until), None)

    def _trouble(self, what: str, where: Logged | None = None) -> CannotReplay:
        where = where or self._first_owed()
        if where is None:
            return CannotReplay(f"What is not in the log yet cannot be replayed: {what}.")
        return CannotReplay(
            f"The log cannot be replayed at event {self._past.numbers[where.id]}, "
            f"{where.event.key} of {where.subject}: {what}."
        )
