"""Runtimes with one safeguard missing: the machinery's ablations."""

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec.structs import replace

from ecom.contract.envelope import Refused, decode
from ecom.runtime.messages import Ack, Commit, Delivery, Output, Perform, Publish, PublisherUp
from ecom.runtime.runtime import Runtime
from ecom.runtime.tables import Effect, Inbox, Outbox, Timer
from ecom.stores.base import Transaction


def _first(kind: type, outputs: Iterable[Output]) -> Iterator[Output]:
    """The outputs of this kind before all others. (The commit is only carried out later.)"""
    outputs = list(outputs)
    yield from (output for output in outputs if type(output) is kind)
    yield from (output for output in outputs if type(output) is not kind)


class AckFirst(Runtime):
    """Acknowledges as messages arrive, as `auto_ack=True` does."""

    def step(self, inputs: Iterable[Any], now: float) -> Iterator[Output]:
        return _first(Ack, super().step(inputs, now))


class PublishFirst(Runtime):
    """Publishes inside the handler, and commits afterwards."""

    def step(self, inputs: Iterable[Any], now: float) -> Iterator[Output]:
        return _first(Publish, super().step(inputs, now))


class PerformFirst(Runtime):
    """Calls the outside world inside the transaction."""

    def step(self, inputs: Iterable[Any], now: float) -> Iterator[Output]:
        return _first(Perform, super().step(inputs, now))


class NoInbox(Runtime):
    """Handles whatever arrives."""

    def _delivery(self, delivery: Delivery, tx: Transaction, now: float) -> None:
        envelope, event = decode(self._contract, delivery.headers, delivery.body)
        row = Inbox(envelope.id, envelope.type, envelope.subject, "done", now)
        self._event(row, envelope, event, delivery.headers, delivery.body, tx, now)


class ClaimFirst(NoInbox):
    """Claims the message in the inbox, commits, and only then runs the handler."""

    def step(self, inputs: Iterable[Any], now: float) -> Iterator[Output]:
        inputs = list(inputs)
        claims = Transaction(self._store)
        self._claimed = set()
        for each in inputs:
            if type(each) is Delivery and claims[Inbox].get(each.headers["ce-id"]) is None:
                id_ = each.headers["ce-id"]
                claims[Inbox].put(Inbox(id_, each.key, each.headers["ce-subject"], "done", now))
                self._claimed.add(id_)
        yield Commit(claims)
        yield from super().step(inputs, now)

    def _delivery(self, delivery: Delivery, tx: Transaction, now: float) -> None:
        if delivery.headers["ce-id"] in self._claimed:
            super()._delivery(delivery, tx, now)


class TrustsRedelivered(NoInbox):
    """Takes the broker's word: what it has delivered before, we have handled before."""

    def _delivery(self, delivery: Delivery, tx: Transaction, now: float) -> None:
        if not delivery.headers.get("x-delivery-count"):
            super()._delivery(delivery, tx, now)


class NoOutbox(Runtime):
    """Commits the state, then publishes from memory."""

    lost: tuple[str, ...] = ("events", "dead")  # what is not written down

    def step(self, inputs: Iterable[Any], now: float) -> Iterator[Output]:
        for output in super().step(inputs, now):
            if type(output) is Commit:
                for row in output.transaction[Outbox].where(done_at=None):
                    if row.exchange in self.lost:
                        output.transaction[Outbox].delete(row.seq)
            yield output


class DeadLetterFromMemory(NoOutbox):
    """Acknowledges what cannot be handled, then publishes its dead letter."""

    lost = ("dead",)


class DualWrite(NoOutbox, NoInbox):
    """The plain tutorial saga: change the database, then publish; no outbox and no inbox."""


class SentWhenPublished(Runtime):
    """Marks a message as sent when it is published, without waiting for the confirm."""

    def step(self, inputs: Iterable[Any], now: float) -> Iterator[Output]:
        for output in super().step(inputs, now):
            yield output
            if type(output) is Publish:
                tx = Transaction(self._store)
                tx[Outbox].put(replace(output.row, done_at=now, due=None))
                yield Commit(tx)


class RequeueForEver(Runtime):
    """Gives back what it cannot read, and gets it again."""

    def step(self, inputs: Iterable[Any], now: float) -> Iterator[Output]:
        self._refused = False
        for output in super().step(inputs, now):
            if type(output) is not Ack or not self._refused:
                yield output

    def _delivery(self, delivery: Delivery, tx: Transaction, now: float) -> None:
        try:
            decode(self._contract, delivery.headers, delivery.body)
        except Refused:
            self._refused = True
            return
        super()._delivery(delivery, tx, now)


class DropsUnreadable(RequeueForEver):
    """Acknowledges what it cannot read, and forgets it."""

    def step(self, inputs: Iterable[Any], now: float) -> Iterator[Output]:
        return Runtime.step(self, inputs, now)


class _Starting(Runtime):
    """Something is amiss when a process starts (not when it merely connects again)."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._take[PublisherUp] = self._up

    def _up(self, _: PublisherUp, tx: Transaction, now: float) -> None:
        memory = self.volatile()
        self._outbox.open()
        if memory.outbox.last == memory.effects.last == 0:
            self.start(tx)

    def start(self, tx: Transaction) -> None:
        """What goes wrong."""
        raise NotImplementedError


class ForgetsUnsent(_Starting):
    """Does not look into the outbox when it starts."""

    def start(self, tx: Transaction) -> None:
        memory = self.volatile()
        outbox = replace(memory.outbox, last=tx.counted("outbox"))
        self.restore(replace(memory, outbox=outbox))
        _forget(Outbox, tx)


class ForgetsEffects(_Starting):
    """Keeps what is still to be done outside in memory."""

    def start(self, tx: Transaction) -> None:
        memory = self.volatile()
        effects = replace(memory.effects, last=tx.counted("effects"))
        self.restore(replace(memory, effects=effects))
        _forget(Effect, tx)


class TimersInMemory(_Starting):
    """Keeps deadlines in memory."""

    def start(self, tx: Transaction) -> None:
        for timer in tx[Timer].where():
            tx[Timer].delete(timer.id)


class NoRollback(Runtime):
    """A handler that fails leaves behind what it has done so far."""

    def _run(
        self, message: Any, cause: Any, tx: Transaction, now: float, envelope: Any = None
    ) -> Any:
        try:
            handler = self.service.handlers[type(message)]
            return handler(message, self._work(cause, tx, now, envelope)), None
        except Exception as error:
            return None, error


def _forget(kind: type, tx: Transaction) -> None:
    """No lease brings these rows back."""
    for row in tx[kind].where(done_at=None):
        tx[kind].put(replace(row, due=None))
