"""Runtimes that send, or keep in mind, without a safeguard; the docstring says what is wrong."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec.structs import replace

from ecom.runtime import messages, replicas
from ecom.runtime.messages import Output, PublisherUp
from ecom.runtime.runtime import Memory, Runtime
from ecom.runtime.tables import Effect, Inbox, Outbox, Received, Replica, Timer
from ecom.stores.base import Transaction
from ecom.stores.query import MoreThan, key_of
from ecom_lab.simulator.ablations.handling import HastyRuntime, NoInbox


class ForgetsAtStart(Runtime):
    """Rows of one kind are forgotten when a process starts (not when it merely connects again)."""

    kind: type

    def _take(self, it: messages.Input, tx: Transaction, now: float) -> None:
        memory = self.volatile()
        super()._take(it, tx, now)
        if type(it) is PublisherUp and memory.outbox.last == memory.effects.last == 0:
            self.forget(tx)

    def forget(self, tx: Transaction) -> None:
        for row in tx[self.kind].where():
            tx[self.kind].delete(key_of(row))


class PublishFirst(HastyRuntime):
    """Events are published before the commit."""

    first = messages.Publish


class PerformFirst(HastyRuntime):
    """The provider is called inside the transaction."""

    first = messages.Perform


class NoOutbox(Runtime):
    """Events are published from memory, after the commit."""

    lost: tuple[str, ...] = ("events", "dead")  # what is not written down

    def step(self, inputs: Iterable[Any], now: float) -> Iterator[Output]:
        for output in super().step(inputs, now):
            if type(output) is messages.Commit:
                rows = output.transaction[Outbox]
                for row in rows.where(done_at=None):
                    if row.exchange in self.lost:
                        rows.delete(row.seq)
            yield output


class DeadLetterFromMemory(NoOutbox):
    """A dead letter is published after its message is acknowledged."""

    lost = ("dead",)


class DualWrite(NoOutbox, NoInbox):
    """The database is changed, then the event is published."""


class SentWhenPublished(Runtime):
    """What is published counts as sent."""

    def step(self, inputs: Iterable[Any], now: float) -> Iterator[Output]:
        for output in super().step(inputs, now):
            yield output
            if type(output) is messages.Publish:
                tx = Transaction(self._store)
                tx[Outbox].put(replace(output.row, done_at=now, due=None))
                yield messages.Commit(tx)


class ForgetsUnsent(ForgetsAtStart):
    """A process that starts does not send what is unsent."""

    kind = Outbox

    def forget(self, tx: Transaction) -> None:
        memory, name = self.volatile(), self.kind.table
        window = replace(getattr(memory, name), last=tx.counted(name))
        self.restore(replace(memory, **{name: window}))
        for row in tx[self.kind].where(done_at=None):
            tx[self.kind].put(replace(row, due=None))  # nor does the clock bring it back


class ForgetsEffects(ForgetsUnsent):
    """What is still to be done outside is kept in memory."""

    kind = Effect


class DoesNotWait(Runtime):
    """A deadline does not wait for what is in the queue before it."""

    def _tick(self, tx: Transaction, now: float) -> None:
        replicas.heard(self._replica, msgspec.json.encode(now), tx)
        super()._tick(tx, now)


class AsksOneReplica(Runtime):
    """A deadline asks the queue by one replica, whatever its siblings have in hand."""

    def _tick(self, tx: Transaction, now: float) -> None:
        rows = tx[Replica].look()
        for row in rows:
            tx[Replica].change(row, heard=max(each.heard for each in rows))
        super()._tick(tx, now)


class ForgetsRetries(Runtime):
    """A deadline does not wait for what has failed, and is to be tried again."""

    def _tick(self, tx: Transaction, now: float) -> None:
        tx[Inbox].look = lambda **_: []
        super()._tick(tx, now)


class TimersInMemory(ForgetsAtStart):
    """Deadlines are kept in memory."""

    kind = Timer


class NoLease(Runtime):
    """What a dead replica left unsent is not sent by its siblings."""

    def _lapsed(self, tx: Transaction, now: float) -> list[str]:
        return []


class ByNumberAlone(NoLease):
    """What is unsent, whoever has left it, is looked for after the last number that was sent."""

    def __init__(self, *about: Any, **more: Any) -> None:
        super().__init__(*about, **more)
        self._outbox._ours = self._unsent

    def _unsent(self, tx: Transaction, room: int, last: int, _: bool) -> list[Outbox]:
        return tx[Outbox].where(limit=room, seq=MoreThan(last), done_at=None, due=None)


class DropsLateSuccess(Runtime):
    """What an effect comes to, after another replica has given it up, is dropped."""

    def _performed(self, performed: messages.Performed, tx: Transaction, now: float) -> None:
        if tx[Effect][performed.seq].state != "dead":
            super()._performed(performed, tx, now)


class NeverBehind(Runtime):
    """What did not fit into the window is not looked for."""

    def step(self, inputs: Iterable[Any], now: float) -> Iterator[Output]:
        if not any(type(each) is PublisherUp for each in inputs):
            self.restore(_not_behind(self.volatile()))
        return super().step(inputs, now)


class HiddenByTheClock(Runtime):
    """What did not fit, as older rows came back, is not looked for."""

    def step(self, inputs: Iterable[Any], now: float) -> Iterator[Output]:
        yield from super().step(inputs, now)
        if any(type(each) is messages.Tick for each in inputs):
            self.restore(_not_behind(self.volatile()))


def _not_behind(memory: Memory) -> Memory:
    outbox, effects = (replace(each, behind=False) for each in (memory.outbox, memory.effects))
    return replace(memory, outbox=outbox, effects=effects)


class TrustsTheAnswer(Runtime):
    """A commit whose answer is lost is taken as not made."""

    def step(self, inputs: Iterable[Any], now: float) -> Iterator[Output]:
        before = self.volatile()
        try:
            yield from super().step(inputs, now)
        except GeneratorExit:
            self.restore(before)
            raise


class CountsWhatCame(Runtime):
    """Events that have come are counted, and not told apart by number."""

    def _event(self, row: Inbox, *about: Any) -> None:
        super()._event(row, *about)
        number = about[2].counted(f"handled:{row.type}")
        about[2][Received].put(Received(row.type, [(1, number)] if number else []))


class NoGapDetection(Runtime):
    """Nobody asks for the events that a broker has lost."""

    def step(self, inputs: Iterable[Any], now: float) -> Iterator[Output]:
        return super().step([each for each in inputs if type(each) is not messages.TallyDue], now)
