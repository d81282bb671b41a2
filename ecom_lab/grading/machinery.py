"""A service's machinery, of which a reader writes a part: an outbox, an inbox, or retries.

A part is a function or two that are given an open transaction, and yield what is to be done outside
of it: `COMMIT` (another is open then), `ACK`, `Publish(event)`. A process may die at each `yield`,
and what was not committed has not happened. What the reader has not written is the runtime's own.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ecom.contract.envelope import Refused, decode
from ecom.contract.topology import is_control
from ecom.runtime import dead_letters, messages
from ecom.runtime.messages import Delivery, Output, Tick
from ecom.runtime.runtime import Runtime
from ecom.runtime.service import Cause
from ecom.runtime.tables import Inbox, Outbox, Timer
from ecom.stores.base import Transaction
from ecom.stores.query import AtMost
from ecom_lab.simulator.ablations.handling import NoInbox
from ecom_lab.simulator.scenario import Scenario

COMMIT, ACK = "COMMIT", "ACK"
COUNTED = 10  # attempts at a message are counted up to here
Part = Mapping[str, Callable[..., Any]]


class Publish(NamedTuple):
    """Hand this event to the broker."""

    event: Outbox


class Message(NamedTuple):
    """What a service has to handle: mostly an event, as the broker delivers it."""

    id: str
    type: str
    subject: str  # the id of the order
    redelivered: bool  # the broker has delivered it before, and got no acknowledgement
    replayed: bool  # it was a dead letter, and an operator has put it into the queue again
    attempts: int  # at handling it, this one included


class Open:
    """An open transaction. `handle` is for all; then come those for an outbox, where an event is
    given as its row, for an inbox, and for retries."""

    def __init__(self, runtime: "Own", it: Any, now: float) -> None:
        self._runtime, self._it, self._now = runtime, it, now
        self._tx = Transaction(runtime._store)
        # What the shipped machinery publishes and performs at the end, if anything is committed.
        self._chosen: tuple[list[Outbox], list[messages.Perform]] | None = None
        runtime._announcements, runtime._replies, runtime._notes = [], [], []

    def handle(self, _: Message) -> Any:
        """Run the message's handler. Of an outbox: the events that are to be published. Of retries:
        the exception that it has raised, or None; if it has, its changes are undone."""
        watch = sys.getprofile()  # of the reader's code; to watch all that follows takes long
        sys.setprofile(None)
        try:
            return self._runtime.handle(self._it, self._tx, self._now)
        finally:
            sys.setprofile(watch)

    def put(self, event: Outbox) -> None:
        """Write the event into the outbox."""
        self._tx[Outbox].put(event)

    def unsent(self) -> list[Outbox]:
        """The events in the outbox that are not marked as sent, the oldest first."""
        return self._tx[Outbox].where(done_at=None)

    def mark(self, event: Outbox) -> None:
        """Mark the event as sent."""
        self._tx[Outbox].change(event, done_at=self._now)

    def seen(self, key: str) -> bool:
        """Whether this key is in the inbox."""
        return self._tx[Inbox].get("key/" + key) is not None

    def remember(self, key: str) -> None:
        """Write this key into the inbox."""
        self._tx[Inbox].put(Inbox("key/" + key, "", "", "done", self._now))

    def state(self, message: Message) -> str:
        """What the inbox says of the message: done, waiting, dead, or nothing."""
        row = self._tx[Inbox].get(message.id)
        return row.state if row else ""

    def later(self, message: Message, seconds: float) -> None:
        """Let the message wait in the inbox, and be given to `on_message` again then."""
        due = self._now + max(float(seconds), 0.1)
        self._note(message, "waiting", due, None, dead_letters.kept(self._it), self._it.body)

    def set_aside(self, message: Message, error: Exception) -> None:
        """Make the message a dead letter, which says why."""
        work = self._runtime._work(Cause("", "", ""), self._tx, self._now)
        why = dead_letters.describe(error)
        about = dead_letters.kept(self._it), self._it.body, "failed", why
        dead_letters.set_aside(work, *about, message.attempts, self._now)
        self._note(message, "dead")

    def _note(self, it: Message, state: str, *rest: Any) -> None:
        tried = min(it.attempts, COUNTED)
        self._tx[Inbox].put(Inbox(it.id, it.type, it.subject, state, self._now, tried, *rest))

    def is_changed(self) -> bool:
        """Whether there is anything that is not committed."""
        return any(table.written() for table in self._tx._tables.values())

    def outputs(self, steps: Iterator[Any]) -> Iterator[Output]:
        """What a function of the reader's yields, carried out; in the end, what is not committed is
        undone."""
        runtime = self._runtime
        for what in steps:
            if what == COMMIT:
                yield from self._commit()
            elif what != ACK:
                if runtime._outbox.window.is_open:
                    yield messages.Publish(what.event)
            else:
                if isinstance(self._it, Delivery) and self._it.tag:
                    yield messages.Ack(self._it.channel, self._it.tag)
                yield from runtime._replies
                runtime._replies = []
        self._tx.rollback()
        # Only here are they under way: if a commit fails, what the one before it has chosen is
        # chosen anew, as it is by the next one.
        if self._chosen:
            publishing, performing = self._chosen
            runtime._outbox.started(publishing)
            runtime._effects.started(it.row for it in performing)
            yield from (*map(messages.Publish, publishing), *performing)
        yield from runtime._announcements

    def _commit(self) -> Iterator[Output]:
        """Commit, with what the shipped machinery does then, and open another transaction."""
        runtime, tx, about = self._runtime, self._tx, (self._now, isinstance(self._it, Tick))
        publishing = runtime._outbox.choose(tx, *about)
        chosen = runtime._effects.choose(tx, *about)
        performing = [it for row in chosen if (it := runtime._to_perform(row, tx, self._now))]
        yield messages.Commit(tx)
        self._chosen = publishing, performing
        self._tx = Transaction(runtime._store)


class Own(Runtime):
    """A runtime of which a reader has written a part."""

    part: Part

    def handle(self, it: Any, tx: Transaction, now: float) -> Any:
        """What `Open.handle` does."""
        self._take(it, tx, now)

    def step(self, inputs: Sequence[Any], now: float) -> Iterator[Output]:
        for it in inputs:
            yield from self.one(it, now)

    def one(self, it: Any, now: float) -> Iterator[Output]:
        """Handle one input."""
        if isinstance(it, Delivery) and not is_control(it.key):
            yield from self._play("on_message", it, now, _message(it))
        else:
            yield from super().step([it], now)

    def _play(self, name: str, it: Any, now: float, *about: Any) -> Iterator[Output]:
        tx = Open(self, it, now)
        yield from tx.outputs(self.part[name](*about, tx) if name in self.part else iter(()))

    def _due(self, kind: Any, it: Any, now: float) -> list[Any]:
        return self._store.select(kind, {"due": AtMost(now)}, 1) if isinstance(it, Tick) else []


class OwnOutbox(Own):
    """The shipped outbox has no window, so that it sends nothing."""

    def __init__(self, *about: Any) -> None:
        super().__init__(*about[:-1], (0, about[-1][1]))

    def handle(self, it: Any, tx: Transaction, now: float) -> list[Outbox]:
        before = tx[Outbox].written()
        super().handle(it, tx, now)
        events = [row for row in tx[Outbox].written() if row not in before]
        for row in events:
            tx[Outbox].delete(row.seq)
        return events

    def one(self, it: Any, now: float) -> Iterator[Output]:
        tried = self._due(Timer, it, now) or self._due(Inbox, it, now)
        if tried or isinstance(it, messages.Command | messages.Performed | messages.Failed):
            yield from self._play("on_message", it, now, _message(it))
        elif isinstance(it, messages.Confirmed) and "on_confirm" in self.part:
            if event := self._store.fetch(Outbox, it.seqs[0]):
                yield from self._play("on_confirm", it, now, event)
        elif not isinstance(it, messages.Rejected):
            yield from super().one(it, now)
        if isinstance(it, messages.PublisherUp | Tick):
            yield from self._play("relay", it, now)


class OwnInbox(Own, NoInbox):
    """The shipped inbox knows no message."""


class OwnRetries(Own):
    """The shipped runtime neither looks into its inbox nor writes of failures into it."""

    def handle(self, it: Any, tx: Transaction, now: float) -> Exception | None:
        try:
            envelope, event = decode(self._contract, it.headers or {}, it.body)
        except Refused as refused:
            return refused
        cause = Cause(envelope.id, envelope.correlation, envelope.traceparent)
        error = self._run(event, self._work(cause, tx, now, envelope, it.body), envelope.id)[1]
        if error is None:
            tx[Inbox].put(Inbox(envelope.id, envelope.type, envelope.subject, "done", now))
        return error

    def one(self, it: Any, now: float) -> Iterator[Output]:
        for row in self._due(Inbox, it, now):
            again = Delivery(0, 0, "", row.type, row.headers, row.body)
            yield from self._play("on_message", again, now, _message(again, row.attempts + 1))
            return
        yield from super().one(it, now)


def _message(it: Any, attempts: int = 1) -> Message:
    said = getattr(it, "headers", None) or {}
    about = (said.get(f"ce-{name}", "") for name in ("id", "type", "subject"))
    replayed = dead_letters.LETTER_HEADER in said and not it.exchange
    return Message(*about, bool(said.get("x-delivery-count")), replayed, attempts)


PARTS: dict[str, tuple[type[Own], tuple[str, ...]]] = {
    "outbox": (OwnOutbox, ("on_message", "relay", "on_confirm")),
    "inbox": (OwnInbox, ("on_message",)),
    "retries": (OwnRetries, ("on_message",)),
}


def with_part(name: str, part: Part, scenario: Scenario) -> Scenario:
    """The same world, its services run with a part of the reader's."""
    return replace(scenario, runtime=type("Mine", (PARTS[name][0],), {"part": part}))
