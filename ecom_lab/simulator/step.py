"""Drives the real runtime through one step of the world, and notes every point of no return.

What comes out of `Runtime.step` is carried out one output at a time. Before each a `Cut` notes
what is durable so far: a crash there leaves exactly that. Confirms come back at once, and so do
the mail server's answers: nobody else can see whether they are late, and a crash before each of
them is a cut of its own. (`eager=False` makes them inputs of their own; tests compare.)
"""

from collections import deque
from collections.abc import Iterable
from typing import Any, NamedTuple

from ecom.contract.permissions import user
from ecom.runtime.messages import (
    Ack,
    Commit,
    Confirmed,
    Failed,
    Perform,
    Publish,
    PublisherDown,
    Reply,
    Unsent,
)
from ecom.runtime.saga import Saga
from ecom.runtime.tables import Outbox
from ecom.stores.base import StoreUnavailable
from ecom_lab.simulator.durability import StaleDisk, Tables
from ecom_lab.simulator.fake_effects import Ledger
from ecom_lab.simulator.scenario import Design
from ecom_lab.simulator.service_state import NOW, Local, Mind, replaced

NOTHING: Any = object()


class Cut(NamedTuple):
    """Where a step can be cut short: before `point`, with this much done."""

    point: str
    tables: Tables
    synced: Tables
    ledger: Ledger
    said: int
    acked: int
    reply: Any


class HandlerFailed(Exception):
    """The fault of a handler that fails once, half done."""


class Tripwire:
    """Makes a handler fail, half done: wrapped around every handler of a service."""

    armed = False

    def around(self, handler: Any) -> Any:
        """The handler; when armed, it fails where it would say or ask for something."""

        def guarded(message: Any, work: Any) -> Any:
            if not self.armed:
                return handler(message, work)
            self.armed = False
            work.emit = work.request = _trip
            handler(message, work)
            return _trip()

        return guarded


def _trip(*_: Any, **__: Any) -> None:
    raise HandlerFailed("this once")


class Drive:
    """One replica of one service, from one local state, with at most one fault on the way.

    `fault` is (kind, number of the cut before which it strikes).
    """

    def __init__(
        self, design: Design, saga: Saga,
        name: str, local: Local, replica: int, mind: Mind,
        eager: bool, fault: tuple[str, int] | None = None, early: Tables | None = None,
    ) -> None:  # fmt: skip
        self._design, self._eager, self._fault = design, eager, fault
        self._disk = design.disk(local.tables, local.synced)
        if early is not None:
            self._disk = StaleDisk(local.tables, local.synced, early)
        self.runtime = design.runtime(
            saga, name, self._disk, str(replica + 1), lambda: 0.5, user("shop", name)
        )
        self.runtime.restore(mind.memory)
        self._heard = deque(mind.heard)
        self._now: deque[Any] = deque()  # what comes back at once
        self._lost = False  # the connection
        outside = {"payment": design.provider, "notification": design.mailer}.get(name)
        self._outside = outside() if outside else None
        self._ledger = local.ledger
        self._mails = name == "notification"
        self._at_once = eager and self._mails
        self.cuts: list[Cut] = []
        self.said: list[Outbox] = []
        self.acked = 0  # deliveries: all up to this tag
        self.reply: Any = NOTHING

    def feed(self, inputs: list[Any], point: str) -> None:
        """Handle inputs and all that comes back at once."""
        self._step(inputs, point)
        while self._now:
            news = self._now.popleft()
            confirm = isinstance(news, Confirmed | Unsent)
            if confirm and self._reach("confirm") == "line":
                self._lost = True
            if not (confirm and self._lost):
                self._step([news], "mark sent" if confirm else "commit")
        if self._lost:
            self._step([PublisherDown()], "commit")
        self._reach("end")

    def local(self, before: Local, replica: int) -> Local:
        """The service's state at the end."""
        mind = Mind(self.runtime.volatile(), tuple(self._heard))
        minds = replaced(before.minds, replica, mind)
        tables, synced = self._disk.snapshot(), self._disk.synced
        return Local(tables, synced, minds, self._ledger, before.reading)

    def _step(self, inputs: Iterable[Any], point: str) -> None:
        try:
            for output in self.runtime.step(inputs, NOW):
                _CARRY_OUT[type(output)](self, output, point)
        except StoreUnavailable:  # as the process does: the same inputs again
            for output in self.runtime.step(inputs, NOW):
                _CARRY_OUT[type(output)](self, output, point)

    def _reach(self, point: str) -> str | None:
        """Note a cut; the kind of fault that strikes here, if any."""
        number = len(self.cuts)
        self.cuts.append(
            Cut(point, self._disk.snapshot(), self._disk.synced, self._ledger, len(self.said),
                self.acked, self.reply)
        )  # fmt: skip
        return self._fault[0] if self._fault and self._fault[1] == number else None

    def _commit(self, output: Commit, point: str) -> None:
        if self._reach(point) == "store":
            output.transaction.rollback()
            raise StoreUnavailable("the disk is full, for a moment")
        output.transaction.commit()

    def _ack(self, output: Ack, _: str) -> None:
        if self._reach("ack") == "line":
            self._lost = True
        if not self._lost:
            self.acked = output.tag

    def _reply(self, output: Reply, _: str) -> None:
        self._reach("reply")
        self.reply = getattr(output.value, "order_id", output.value)

    def _publish(self, output: Publish, _: str) -> None:
        fault = self._reach("publish")
        self._lost = self._lost or fault == "line"
        if self._lost:
            return
        seq = output.row.seq
        if fault == "return":  # and the broker confirms it all the same
            self._comes(Unsent([seq]) if self._design.mandatory else Confirmed([seq]), self._eager)
            return
        self.said.append(output.row)
        self._comes(Confirmed([seq]), self._eager)

    def _perform(self, output: Perform, _: str) -> None:
        seq = output.row.seq
        fault = self._reach("mail" if self._mails else "gateway call")
        if fault == "fails":
            self._comes(Failed(seq, "no connection", unknown=not self._mails), self._at_once)
            return
        self._ledger, answer = self._outside.call(self._ledger, seq, output.row.key, output.effect)
        late = Failed(seq, "no answer", unknown=not self._mails)
        self._comes(late if fault == "late" else answer, self._at_once)

    def _comes(self, news: Any, at_once: bool) -> None:
        (self._now if at_once else self._heard).append(news)


_CARRY_OUT = {
    Commit: Drive._commit,
    Ack: Drive._ack,
    Reply: Drive._reply,
    Publish: Drive._publish,
    Perform: Drive._perform,
}
