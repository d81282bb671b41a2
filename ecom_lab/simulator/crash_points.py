"""Drives the real runtime through one step of the world, and notes every point of no return.

What comes out of `Runtime.step` is carried out one output at a time. Before each a `CrashPoint`
notes what is durable so far: a crash there leaves exactly that. Confirms come back at once, and so
do the answers to a service to whom nobody listens: nobody else can see whether they are late, and a
crash before each of them is a cut of its own. (Without the reduction *at once* they are inputs of
their own; tests compare.)
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from msgspec import Struct

from ecom.contract.contract import subject_of
from ecom.runtime.messages import (
    Ack,
    Announce,
    Commit,
    Confirmed,
    Failed,
    Perform,
    Publish,
    PublisherDown,
    Rejected,
    Reply,
)
from ecom.runtime.runtime import Runtime
from ecom.runtime.tables import Outbox
from ecom.stores.base import StoreUnavailable
from ecom_lab.simulator.durability import Disk, Tables
from ecom_lab.simulator.scenario import Ledger, Outside
from ecom_lab.simulator.service_state import NOW, ProcessState, ServiceState, replaced

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


class Environment(NamedTuple):
    """What is around a service, and how soon it answers."""

    outside: Outside | None
    mandatory: bool
    eager: bool  # confirms come back in the same step
    at_once: bool  # so do answers of the outside


class StepDriver:
    """One replica of one service, with at most one fault on the way.

    `runtime` remembers what it should, and keeps its tables on `disk`.
    """

    def __init__(
        self,
        runtime: Runtime,
        disk: Disk,
        environment: Environment,
        ledger: Ledger,
        heard: Iterable[Any],
        fault: Fault | None,
    ) -> None:
        self._runtime, self._disk, self._environment, self._fault = (
            runtime,
            disk,
            environment,
            fault,
        )
        self._ledger, self._heard = ledger, deque(heard)
        self._now: deque[Any] = deque()  # what comes back at once
        self._lost = False  # the connection
        self.cuts: list[CrashPoint] = []
        self.said: list[Outbox | Announce] = []
        self.acked = 0  # deliveries: all up to this tag
        self.replies: tuple[tuple[int, str], ...] = ()

    def feed(self, inputs: list[Any], point: str) -> None:
        """Handle inputs and all that comes back at once."""
        self._step(inputs, point)
        while self._now:
            news = self._now.popleft()
            confirm = isinstance(news, Confirmed | Rejected)
            if confirm and self._reach("confirm") == "line":
                self._lost = True
            if not (confirm and self._lost):
                self._step([news], "mark sent" if confirm else "commit")
        if self._lost:
            self._step([PublisherDown()], "commit")
        self._reach("end")

    def local(self, before: ServiceState, replica: int) -> ServiceState:
        """The service's state at the end."""
        process = ProcessState(self._runtime.volatile(), tuple(self._heard))
        processes = replaced(before.processes, replica, process)
        return ServiceState(
            self._disk.snapshot(), self._disk.synced, processes, self._ledger, before.begun
        )

    def _step(self, inputs: Iterable[Any], point: str) -> None:
        try:
            self._carry_out(inputs, point)
        except StoreUnavailable:  # as the process does: the same inputs again
            self._carry_out(inputs, point)

    def _carry_out(self, inputs: Iterable[Any], point: str) -> None:
        for output in self._runtime.step(inputs, NOW):
            _DOING[type(output)](self, output, point)

    def _reach(self, point: str) -> str | None:
        """Note a cut; the kind of fault that strikes here, if any."""
        number = len(self.cuts)
        disk, done = self._disk, (self._ledger, len(self.said), self.acked, self.replies)
        self.cuts.append(CrashPoint(point, disk.snapshot(), disk.synced, *done))
        return self._fault[0] if self._fault and self._fault[1] == number else None

    def _commit(self, output: Commit, point: str) -> None:
        fault = self._reach(point)
        is_made = fault != "store"
        if is_made:
            output.transaction.commit()
        else:
            output.transaction.rollback()
        if fault in ("store", "unknown") and not self._disk.believes(is_made):
            raise StoreUnavailable("the disk is full for a moment, or the connection is gone")

    def _ack(self, output: Ack, _: str) -> None:
        if self._reach("ack") == "line":
            self._lost = True
        if not self._lost:
            self.acked = output.tag

    def _reply(self, output: Reply, _: str) -> None:
        self._reach("reply")
        value = output.value
        if isinstance(value, BUGS):
            raise value
        answer = subject_of(value) if isinstance(value, Struct) else repr(value)
        self.replies = (*self.replies, (output.token, answer))

    def _publish(self, output: Publish, _: str) -> None:
        fault = self._reach("publish")
        self._lost = self._lost or fault == "line"
        if self._lost:
            return
        seq = output.row.seq
        if fault == "return":  # and the broker confirms it all the same
            back = Rejected if self._environment.mandatory else Confirmed
            self._comes(back([seq]), self._environment.eager)
            return
        self.said.append(output.row)
        self._comes(Confirmed([seq]), self._environment.eager)

    def _announce(self, output: Announce, _: str) -> None:
        if not self._lost:
            self.said.append(output)

    def _perform(self, output: Perform, _: str) -> None:
        seq, (outside, *_, at_once) = output.row.seq, self._environment
        assert outside is not None, f"nobody performs {output.row.type}"
        fault = self._reach(outside.call)
        if fault == "fails":
            self._comes(Failed(seq, "no connection", unknown=outside.is_open), at_once)
            return
        self._ledger, answer = outside.perform(self._ledger, seq, output.row.key, output.effect)
        late = Failed(seq, "no answer", unknown=outside.is_open)
        self._comes(late if fault == "late" else answer, at_once)

    def _comes(self, news: Any, at_once: bool) -> None:
        (self._now if at_once else self._heard).append(news)


_DOING: dict[type, Callable[[StepDriver, Any, str], None]] = {
    Commit: StepDriver._commit,
    Ack: StepDriver._ack,
    Reply: StepDriver._reply,
    Publish: StepDriver._publish,
    Perform: StepDriver._perform,
    Announce: StepDriver._announce,
}
