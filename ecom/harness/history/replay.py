"""Replay: a service's real handlers run again, on tables in memory, on what they handled then.

Each service by itself, in the order that it wrote down. Event ids are derived from their causes, so
what the handlers publish now can be held against the log. A fraction of a millisecond a message.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from typing import NamedTuple

import msgspec
from msgspec import Struct

from ecom.contract.contract import Event, subject_of
from ecom.contract.envelope import derived_id
from ecom.errors import ShopError
from ecom.harness.history.past import Logged, Note, Past
from ecom.runtime.service import Cause, Work, timer_id
from ecom.runtime.tables import Effect, Outbox, Timer
from ecom.stores.base import R, Row, Transaction
from ecom.stores.memory import MemoryStore


class CannotReplay(ShopError):
    """The handlers do not do again what the log says they did."""


class Handling(NamedTuple):
    """One message handled by one service, and what came of it."""

    service: str
    how: str  # it came as an "event", a "command", a "timer" or an "answer"
    cause: str  # id of the event, or of the command, timer or answer
    message: Struct
    published: dict[str, Event]  # by id
    requested: list[Effect]
    changes: list[tuple[Row | None, Row | None]]  # before, after: rows of the saga watched

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
        self._caused: dict[str, list[Logged]] = {}  # what it published, by cause
        for logged in past.log:
            if logged.event.producer == name:
                self._caused.setdefault(logged.causation, []).append(logged)
        first = past.log[: int(min(until, len(past.log)))]
        self._owed = {logged.id: logged for logged in first if logged.event.producer == name}
        for row in past.given.get(name, ()):
            self.tx[type(row)].put(row)

    def handlings(self) -> Iterator[Handling]:
        """Handle it all again. Raises `CannotReplay`."""
        for note in self._past.notes_of(self._name):
            with self._troubles_placed():
                if not (note.type or self._owed or note.id in self._past.numbers):
                    return  # this event is still on its way to the log
                how, cause, message = self._read(note)
                caused = self._caused.get(cause.id, ())
                ids = (cause.id, *(logged.id for logged in caused))
                if any(self._past.numbers.get(id_, 0) > self._until for id_ in ids):
                    return
                handling = self._handle(how, cause, message, note.now)
                for logged in caused:
                    if logged.id in self._owed:  # else the command was repeated
                        self._compare(handling, logged)
                yield handling
        for logged in self._owed.values():
            raise self._trouble(f"{self._name} has no note of what led to it", logged)

    def _read(self, note: Note) -> tuple[str, Cause, Struct]:
        """How a message came, the cause of its results, and the message."""
        if not note.type:
            if note.id not in self._past.numbers:
                raise self._trouble(f"{self._name} has handled an event that is not in the log")
            logged = self._past.logged(note.id)
            return "event", Cause(note.id, logged.correlation, ""), logged.event
        kind = self._service.kinds.get(note.type)
        message = msgspec.convert(note.message, kind)
        if isinstance(note.id, int):
            effect = self.tx[Effect][note.id]
            id_ = derived_id(effect.id, note.type)
            return "answer", Cause(id_, effect.correlation, ""), message
        timer = self.tx[Timer].get(timer_id(kind, subject_of(message)))
        correlation = timer.correlation if timer else note.id
        return "timer" if timer else "command", Cause(note.id, correlation, ""), message

    def _handle(self, how: str, cause: Cause, message: Struct, now: float) -> Handling:
        before = self._rows()
        outbox, effects = self.tx.counted("outbox"), self.tx.counted("effects")
        work = Work(self._name, "1", "", self.tx, cause, now)
        self._service.handlers[type(message)](message, work)
        kinds = self._past.saga.contract.by_key
        requested, sent = self._added(Effect, effects), self._added(Outbox, outbox)
        published = {row.id: msgspec.json.decode(row.body, type=kinds[row.type]) for row in sent}
        changes = [pair for pair in zip(before, self._rows(), strict=True) if pair[0] != pair[1]]
        return Handling(self._name, how, cause.id, message, published, requested, changes)

    def _added(self, kind: type[R], before: int) -> list[R]:
        """The rows that were numbered since there were so many."""
        return [self.tx[kind][seq + 1] for seq in range(before, self.tx.counted(kind.table))]

    def _rows(self) -> list[Row | None]:
        """The rows of the saga watched."""
        fields = self._service.subject_fields if self._watched else ()
        kinds = (kind for kind in self._service.rows if kind.__struct_fields__[0] in fields)
        return [self.tx[kind].get(self._watched) for kind in kinds]

    def _compare(self, handling: Handling, then: Logged) -> None:
        """Hold what is published now against what was published then."""
        now = handling.published.get(then.id)
        if now != then.event:
            others = ", ".join(event.key for event in handling.published.values()) or "nothing"
            what = "it otherwise" if now else others
            raise self._trouble(f"{self._name} now publishes {what}", then)
        del self._owed[then.id]

    @contextmanager
    def _troubles_placed(self) -> Iterator[None]:
        try:
            yield
        except CannotReplay:
            raise
        except Exception as error:
            what = f"{self._name} now raises {type(error).__name__}: {error}"
            raise self._trouble(what) from error

    def _trouble(self, what: str, where: Logged | None = None) -> CannotReplay:
        where = where or next(iter(self._owed.values()), None)
        if where is None:
            return CannotReplay(f"What is not in the log yet cannot be replayed: {what}.")
        return CannotReplay(
            f"The log cannot be replayed at event {self._past.numbers[where.id]}, "
            f"{where.event.key} of {where.subject}: {what}."
        )
