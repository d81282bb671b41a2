"""A service: its tables, its handlers, and the unit of work a handler is given.

Handlers are plain functions of a message and a `Work`. They read and write rows, emit events,
request effects, set timers, and touch nothing else: no clock, no network, no randomness. So the
runtime may run one again after a crash, and the simulator may run it in every order there is.
"""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct, structs

from ecom.contract.contract import Event, subject_of
from ecom.contract.envelope import (
    Envelope,
    Refused,
    Wire,
    derived_id,
    encode,
    is_derived,
    rfc3339,
    trace_after,
)
from ecom.runtime.retry import Retry
from ecom.runtime.tables import Effect, Inbox, Outbox, Timer
from ecom.stores.base import R, Row, StoreBroken, StoreUnavailable, Table, Transaction

LEASE = 60.0  # seconds without a sign of a replica's life, before others take what it has to do
NOTHING = ""  # the state of what has no row yet

Handler = Callable[[Any, "Work"], Any]

# The message whose handler runs, and its `Cause`, for log lines. Kept as they are: most handlers
# log nothing, and then the message's saga need not be looked up.
handling: ContextVar[tuple[Any, Any] | None] = ContextVar("handling", default=None)
# The trace context of the effect that is being performed.
traceparent: ContextVar[str] = ContextVar("traceparent", default="")


class Impossible(Exception):
    """This can never succeed, however often it is tried: dead-letter it at once."""


class Lifecycle(NamedTuple):
    """The states of a kind of rows, for diagrams; a test compares it with what handlers do."""

    success: str  # the state of rows whose saga has succeeded
    transitions: tuple[tuple[str, type[Struct], str], ...]  # from, upon which message, to


@dataclass(frozen=True)
class Service:
    """What makes a service: domain only; the runtime around it is the same for all."""

    name: str
    rows: tuple[type[Row], ...]
    handlers: Mapping[type[Struct], Handler]  # by message: event, timer, effect result, command
    effects: tuple[type[Struct], ...] = ()
    retries: Mapping[type[Struct], Retry] = field(default_factory=dict)  # exceptions to Retry()
    # By effect: what the service is told of its subject and key, as a result, when one is given up.
    given_up: Mapping[type[Struct], Callable[[str, str], Struct]] = field(default_factory=dict)
    transitions: Mapping[type[Row], Lifecycle] = field(default_factory=dict)  # of rows with a state

    def answering(self, handlers: Mapping[type[Struct], Handler]) -> "Service":
        """The same service with these handlers besides, or in place of, those it has."""
        return replace(self, handlers={**self.handlers, **handlers})

    def retry_for(self, kind: type[Struct] | None) -> Retry:
        """The policy for messages or effects of this kind."""
        return self.retries.get(kind, Retry()) if kind else Retry()

    def message_of(self, row: Timer | Effect) -> Struct:
        """The timer or effect. Raises `Refused` for one that only another release can read."""
        kind = self.kinds.get(row.type)
        if kind is None:
            raise Refused(f"{self.name} knows no {row.type}")
        try:
            return msgspec.json.decode(row.body, type=kind)
        except (ValueError, RecursionError) as error:
            raise Refused(f"no {row.type} in this shape: {error}") from None

    def handle(self, message: Struct, work: "Work") -> tuple[Any, Exception | None]:
        """Run the handler: what it returned, or raised; if it raised, its changes are undone."""
        before = handling.set((message, work.cause))
        try:
            handler = self.handlers.get(type(message))
            if handler is None:
                raise Impossible(f"{self.name} does not handle {type(message).__name__}")
            if work.envelope is not None:
                self._check_saga(work.envelope.subject, work)
            return handler(message, work), None
        except (StoreUnavailable, StoreBroken):
            raise
        except Exception as error:
            work.undo()
            return None, error
        finally:
            handling.reset(before)

    def _check_saga(self, subject: str, work: "Work") -> None:
        """Raise `Impossible` for an event of another saga than the one whose rows are here."""
        for kind in self._kept_by_saga:
            row: Any = work[kind].get(subject)
            if row is not None and row.saga not in ("", work.cause.correlation) and work.saga:
                raise Impossible(f"another has this number here: {subject} is of {row.saga}")

    @cached_property
    def _kept_by_saga(self) -> list[type[Row]]:
        """Rows that say of which saga they are: numbers may be given again, ids are not."""
        fields = ((kind, kind.__struct_fields__) for kind in self.rows)
        return [kind for kind, it in fields if "saga" in it and it[0] in self.subject_fields]

    @cached_property
    def subject_fields(self) -> frozenset[str]:
        """The names of its events' first fields: rows with that key are read ahead."""
        events = (kind for kind in self.handlers if issubclass(kind, Event))
        return frozenset(kind.__struct_fields__[0] for kind in events)

    @cached_property
    def kinds(self) -> dict[str, type[Struct]]:
        """Timer and effect types by name, and all that is handled; not what another release has."""
        return {kind.__name__: kind for kind in (*self.effects, *self.handlers)}


class Cause(Struct, frozen=True):
    """The cause of what a handler emits: ids for the envelopes."""

    id: str
    correlation: str
    traceparent: str


class Work(Struct, eq=False, dict=True):
    """One message's unit of work, all or nothing, inside the batch's transaction."""

    _service: str
    _replica: str
    _stream: str  # the mark of its own
    _tx: Transaction
    _begun: int  # the savepoint
    cause: Cause
    now: float  # epoch seconds; the only clock a handler may read
    envelope: Envelope | None = None  # of the event being handled, if it is one
    body: bytes = b""  # of that event, as it came

    @property
    def saga(self) -> str:
        """The id of the saga that this belongs to, to be kept by its rows: unique for ever, as its
        number may not be. "" in what earlier releases began anew, such as a cancellation."""
        return "" if is_derived(self.cause.correlation) else self.cause.correlation

    def join(self, saga: str) -> None:
        """What follows from this command belongs to a saga begun before ("": to a new one)."""
        if saga:
            self.cause = structs.replace(self.cause, correlation=saga)

    def __getitem__(self, kind: type[R]) -> Table[R]:
        """The table of these rows, e.g. `work[Order].get("1001")`."""
        return self._tx[kind]

    def undo(self) -> None:
        """Undo all changes of this unit of work."""
        self._tx.undo_to(self._begun)

    def count(self, name: str) -> int:
        """Add one to the service's own counter of this name; its new value."""
        return self._tx.count(name)

    def number(self, kind: type[Row]) -> int:
        """A number for a new row of this kind; there may be none with the one before."""
        return self._tx.number(kind)

    def emit(self, event: Event) -> None:
        """Publish `event` after the commit, at least once."""
        id_ = derived_id(self.cause.id, event.key)
        cause, subject = self.cause, subject_of(event)
        trace = trace_after(cause.traceparent, cause.correlation, id_)
        what = event.key, event.version, rfc3339(self.now), self._service, subject
        envelope = Envelope(id_, *what, cause.correlation, cause.id, trace)
        place = self._tx.count(f"emitted:{event.key}{self._stream}"), self._stream
        self.send("events", id_, event.key, subject, encode(envelope, event, *place), *place)

    def send(self, exchange: str, id: str, type: str, subject: str, wire: Wire, *at: Any) -> None:
        """Put one message into the outbox; `at` are an event's number and its stream's mark."""
        message = self._tx.number(Outbox), id, type, subject, exchange, *wire
        self._tx[Outbox].put(Outbox(*message, self.now, self._replica, *at))

    def request(self, effect: Struct, key: str) -> None:
        """Have `effect` performed outside after the commit; its result is a message to us. Under
        this idempotency key (see `key_for`) the provider must do it once, however often asked."""
        kind, body, cause = type(effect).__name__, msgspec.json.encode(effect), self.cause
        id_ = derived_id(cause.correlation, f"{kind}/{key}")  # whatever it was requested for
        what = self._tx.number(Effect), id_, kind, subject_of(effect), key
        why = cause.correlation, cause.traceparent
        self._tx[Effect].put(Effect(*what, body, *why, self.now, self._replica))

    def set_timer(self, at: float, message: Struct) -> None:
        """Handle `message` at `at` (epoch seconds), once, crash or not; but not before what was in
        the service's queue by then, also if it has waited there for long."""
        kind, subject, cause = type(message), subject_of(message), self.cause
        what = timer_id(kind, subject), kind.__name__, subject, at, msgspec.json.encode(message)
        self._tx[Timer].put(Timer(*what, cause.correlation, cause.traceparent))

    def cancel_timer(self, kind: type[Struct], subject: str) -> None:
        """Cancel the timer of this kind, if it is still set."""
        self._tx[Timer].delete(timer_id(kind, subject))


def about(row: Inbox | Effect) -> dict[str, Any]:
    """What a log record of this row brings as `extra`."""
    return {"subject": row.subject, "event": row.id, "attempt": row.attempts}


def key_for(what: str, row: Any) -> str:
    """An idempotency key for one of this row's saga: unique beyond a database, and a shop."""
    return "/".join(filter(None, (what, subject_of(row), row.saga)))


def timer_id(kind: type[Struct], subject: str) -> str:
    """The key of a timer: a saga has one of each kind, at most."""
    return f"{kind.__name__}/{subject}"
