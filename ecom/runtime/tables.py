"""The machinery's tables, the same in every service: inbox, outbox, effects, timers, counters."""

from typing import Any

from ecom.stores.base import Counter, Index, Row

Range = tuple[int, int]  # the first and the last of some numbers
SUBJECT, NUMBER = Index(("subject",)), Index(("type", "number"))
DUE, UNDONE = Index(("due", "seq"), filled="due"), Index(("owner", "seq"), empty="done_at")


class Inbox(Row, frozen=True):
    """A message that was delivered: `done` ones tell duplicates, `waiting` ones are retried."""

    table = "inbox"
    indexes = (Index(("due", "id"), filled="due"), Index(("state", "at")), SUBJECT)

    id: str  # the event's, or `producer/id` (see `ecom.runtime.inbox.find`)
    type: str
    subject: str
    state: str  # done, waiting, dead
    at: float  # when it first arrived, epoch seconds
    attempts: int = 1
    due: float | None = None  # when to try again
    last_error: str | None = None
    headers: dict[str, Any] | None = None  # kept only while it waits
    body: bytes | None = None


class Outbox(Row, frozen=True):
    """A message to publish: written with the state it reports, sent after the commit."""

    table = numbers = "outbox"
    indexes = (DUE, UNDONE, Index(("done_at", "seq"), filled="done_at"), SUBJECT, NUMBER)

    seq: int
    id: str
    type: str
    subject: str
    exchange: str  # "events", or "dead" for this service's dead-letter queue
    headers: dict[str, Any]
    body: bytes
    created_at: float
    owner: str  # the replica that sends it
    number: int = 0  # of an event in its stream, from 1
    stream: str = ""  # its mark
    again: int = 0  # how often it was sent again, as somebody missed it
    due: float | None = None  # it came back: to be sent again then, by any replica
    done_at: float | None = None  # when the broker confirmed it


class Effect(Row, frozen=True):
    """Something to do outside (capture, refund, mail), requested with the state it follows."""

    table = numbers = "effects"
    indexes = (DUE, UNDONE, Index(("state", "done_at", "seq"), filled="done_at"), SUBJECT)

    seq: int
    id: str
    type: str
    subject: str
    key: str  # the idempotency key: stable over retries and crashes
    body: bytes
    correlation: str
    traceparent: str
    created_at: float
    owner: str
    due: float | None = None  # it failed: to be done again then, by any replica
    done_at: float | None = None
    attempts: int = 0
    last_error: str | None = None
    state: str = "pending"  # pending, done, dead


class Timer(Row, frozen=True):
    """A message of the service to itself, handled when it is due."""

    table = "timers"
    indexes = (Index(("due", "id")),)

    id: str
    type: str
    subject: str
    due: float
    body: bytes
    correlation: str
    traceparent: str


class Replica(Row, frozen=True):
    """A process of the service, on its lease (see `ecom.runtime.replicas`); epoch seconds."""

    table = "replicas"

    name: str
    until: float  # when its lease runs out
    since: float = 0.0  # when it was connected to the broker
    heard: float = -1.0  # when the last echo that it was delivered was published


class Handled(Row, frozen=True):
    """What one transaction has handled, in order: all that the service's tables follow from.

    Of an event there is its id; of a command and a timer [id, type, message], where the id is what
    their results follow from; of an effect's result [number of the effect, type, message].
    """

    table, numbers = "handled", "transactions"

    number: int  # of the transaction
    at: float  # the time that its handlers were given, epoch seconds
    messages: list[Any]


class Received(Row, frozen=True):
    """Which events of a stream have come, or will not come, by number (see `streams`)."""

    table = "received"

    type: str  # the stream, and "/" and the replica, if that is another than the first
    came: list[Range] = []  # noqa: RUF012 - a struct's default is copied


class Letter(Row, frozen=True):
    """A dead letter of this service, and what became of it: all counts of them are of these."""

    table, numbers = "dead_letters", "dead"
    indexes = (Index(("number",), empty="ended_at"), Index(("ended_at",), filled="ended_at"))

    number: int
    reason: str  # malformed, failed, effect failed
    id: str  # of the event or the effect; of what is malformed, whatever it says
    type: str
    subject: str
    error: str
    attempts: int
    at: float  # when it was set aside, epoch seconds
    state: str = "dead"  # dead, replayed, dropped
    ended_at: float | None = None  # when an operator replayed or dropped it; None: it lies there
    why: str | None = None  # it was dropped


# Counters: `emitted:KEY` (the last one's number), `handled:KEY` (a replay once more), `duplicates`,
# each a replica's own (`streams.mark`); `replayed`, `dropped`; and where rows are numbered by one,
# `dead`, `outbox`, `effects`, `transactions`, and those of a service: `orders`, `events`.
MACHINERY = (Inbox, Outbox, Effect, Timer, Replica, Handled, Received, Letter, Counter)
