"""Drives the real runtime through one step of the world, and notes every point of no return.

What comes out of `Runtime.step` is carried out one output at a time. Before each a `CrashPoint`
notes what is durable so far: a crash there leaves exactly that. Confirms come back at once, and so
do the answers to a service to whom nobody listens: nobody else can see whether they are late, and a
crash before each of them is a cut of its own. (Without the reduction *at once* they are inputs of
their own; tests compare.)
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, get_args

from msgspec import Struct

from ecom.contract.contract import subject_of
from ecom.runtime import messages
from ecom.runtime.runtime import Runtime
from ecom.runtime.tables import Outbox
from ecom.stores.base import StoreUnavailable
from ecom_lab.simulator.durability import Disk, Tables
from ecom_lab.simulator.scenario import Ledger, Sandbox
from ecom_lab.simulator.service_state import NOW

# Of a command's handler: else each history would go well, as nothing happens in any.
BUGS = (NameError, TypeError, AttributeError, KeyError, IndexError)
Fault = tuple[str, int]  # its kind, and the number of the cut before which it strikes


class CrashPoint(NamedTuple):
    """Where a step can be cut short: before `point`, with this much done."""

    point: str
    tables: Tables
    synced: Tables
    ledger: Ledger
    said: int
    acked: int
    replies: tuple[tuple[int, str], ...]


class HandlerFailed(Exception):
    """The fault of a handler that fails once, half done."""


class Tripwire:
    """Makes a handler fail, half done: wrapped around every handler of a service."""

    left = -1  # handlers to run before the one that fails; below zero, none does

    def around(self, handler: Any) -> Any:
        """The handler; when it is its turn, it fails where it would say or ask for something."""

        def guarded(message: Any, work: Any) -> Any:
            self.left -= 1
            if self.left != -1:
                return handler(message, work)
            work.emit = work.request = _trip
            handler(message, work)
            return _trip()

        return guarded


def _trip(*_: Any, **__: Any) -> None:
    raise HandlerFailed("this once")


@dataclass
class StepDriver:
    """One replica of one service, with at most one fault on the way.

    `runtime` remembers what it should, and keeps its tables on `disk`.
    """

    runtime: Runtime
    disk: Disk
    ledger: Ledger
    heard: list[Any]
    fault: Fault | None
    outside: Sandbox | None
    mandatory: bool
    eager: bool  # confirms come back in the same step
    at_once: bool  # so do answers of the outside
    cuts: list[CrashPoint] = field(default_factory=list)
    said: list[Outbox | messages.Announce] = field(default_factory=list)
    acked: int = 0  # deliveries: all up to this tag
    replies: tuple[tuple[int, str], ...] = ()
    _now: deque[Any] = field(default_factory=deque)  # what comes back at once
    _lost: bool = False  # the connection

    def feed(self, inputs: list[Any], point: str) -> None:
        """Handle inputs and all that comes back at once."""
        self._step(inputs, point)
        while self._now:
            news = self._now.popleft()
            confirm = isinstance(news, messages.Confirmed | messages.Rejected)
            if confirm and self._reach("confirm") == "line":
                self._lost = True
            if not (confirm and self._lost):
                self._step([news], "mark sent" if confirm else "commit")
        if self._lost:
            self._step([messages.PublisherDown()], "commit")
        self._reach("end")

    def _step(self, inputs: Iterable[Any], point: str) -> None:
        try:
            for output in self.runtime.step(inputs, NOW):
                _DOING[type(output)](self, output, point)
        except StoreUnavailable:  # as the process does: the same inputs again
            self._step(inputs, point)

    def _reach(self, point: str) -> str | None:
        """Note a cut; the kind of fault that strikes here, if any."""
        number = len(self.cuts)
        disk, done = self.disk, (self.ledger, len(self.said), self.acked, self.replies)
        self.cuts.append(CrashPoint(point, disk.snapshot(), disk.synced, *done))
        return self.fault[0] if self.fault and self.fault[1] == number else None

    def _commit(self, output: messages.Commit, point: str) -> None:
        fault = self._reach(point)
        is_made = fault != "store"
        if is_made:
            output.transaction.commit()
        else:
            output.transaction.rollback()
        believed = is_made if self.disk.believes is None else self.disk.believes
        if fault in ("store", "unknown") and not believed:
            raise StoreUnavailable("the disk is full for a moment, or the connection is gone")

    def _ack(self, output: messages.Ack, _: str) -> None:
        if self._reach("ack") == "line":
            self._lost = True
        if not self._lost:
            self.acked = output.tag

    def _reply(self, output: messages.Reply, _: str) -> None:
        self._reach("reply")
        value = output.value
        if isinstance(value, BUGS):
            raise value
        answer = subject_of(value) if isinstance(value, Struct) else repr(value)
        self.replies = (*self.replies, (output.token, answer))

    def _publish(self, output: messages.Publish, _: str) -> None:
        fault = self._reach("publish")
        self._lost = self._lost or fault == "line"
        if self._lost:
            return
        is_returned = fault == "return"
        if not is_returned:
            self.said.append(output.row)
        # Without `mandatory`, the broker confirms it all the same.
        news = messages.Rejected if is_returned and self.mandatory else messages.Confirmed
        self._comes(news([output.row.seq]), self.eager)

    def _announce(self, output: messages.Announce, _: str) -> None:
        if not self._lost:
            self.said.append(output)

    def _perform(self, output: messages.Perform, _: str) -> None:
        row, outside = output.row, self.outside
        assert outside is not None, f"nobody performs {row.type}"
        fault = self._reach(outside.call)
        answer = messages.Failed(row.seq, "no connection", unknown=outside.is_open)
        if fault != "fails":
            self.ledger, answer = outside.perform(self.ledger, row.seq, row.key, output.effect)
        if fault == "late":
            answer = messages.Failed(row.seq, "no answer", unknown=outside.is_open)
        self._comes(answer, self.at_once)

    def _comes(self, news: Any, at_once: bool) -> None:
        (self._now if at_once else self.heard).append(news)


# By type of output: the method of its name.
_DOING = {it: getattr(StepDriver, f"_{it.__name__.lower()}") for it in get_args(messages.Output)}
