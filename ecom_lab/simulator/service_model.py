"""One service in the world: every input it may be given, and everything that may come of it.

A service's step depends on nothing but its own local state and the input, so each is run once,
with every fault that can strike on the way, and remembered. The explorer then combines.
"""

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, NamedTuple

from msgspec.structs import replace

from ecom.contract.topology import user
from ecom.runtime.messages import Announce, Confirmed, Tick
from ecom.runtime.relay import Window
from ecom.runtime.runtime import Memory
from ecom.runtime.tables import MACHINERY, Outbox, Replica
from ecom.stores.query import key_of
from ecom_lab.simulator.broker import Message, Numbers
from ecom_lab.simulator.choices import What
from ecom_lab.simulator.crash_points import CrashPoint, Fault, StepDriver, Tripwire
from ecom_lab.simulator.durability import Tables, last_number
from ecom_lab.simulator.inputs import AWAITED, DELIVERED, prepared
from ecom_lab.simulator.scenario import POISON, Scenario
from ecom_lab.simulator.service_state import GONE, Begun, Canon, ProcessState, ServiceState

# Which faults may strike before which point of a step; and before a call of the outside world.
STRIKES = {
    "commit": ("store", "unknown"),
    "mark sent": ("store", "unknown"),
    "timer": ("store", "unknown"),
    "ack": ("line",),
    "publish": ("line", "return"),
    "confirm": ("line",),
}
CALLED = ("fails", "late")
FAILING = ("deliver", "overtake", "answer", "timer", "retry")  # inputs whose handler may fail
DRAWN = 100  # numbers that a transaction draws at most
CONNECTED = ProcessState(Memory(outbox=Window(is_open=True)))


class Outcome(NamedTuple):
    """What came of an input, and of the fault (kind, point) that struck on the way, if one did."""

    fault: tuple[str, str] | None
    local: int
    said: tuple[int, ...] = ()  # the messages that the broker took
    acked: int = 0  # deliveries
    replies: tuple[tuple[int, str], ...] = ()  # the number of a client, and what it was answered


class ServiceModel:
    """A service of the scenario: local states by number, and what each can lead to."""

    def __init__(
        self, name: str, scenario: Scenario, messages: Numbers, eager: bool, is_sink: bool
    ) -> None:
        self.name, self._scenario, self._messages = name, scenario, messages
        self._tripwire = Tripwire()
        service = scenario.saga.services[name]
        guarded = {kind: self._tripwire.around(each) for kind, each in service.handlers.items()}
        self._saga = scenario.saga.replacing(service.answering(guarded))
        outside = scenario.outside.get(name)
        self._around = outside, scenario.mandatory, eager, eager and is_sink
        self._strikes = STRIKES | ({outside.call: CALLED} if outside else {})
        self._user = user(scenario.saga.contract.name, name)
        self.replicas = scenario.replicas.get(name, 1)
        self.locals: list[ServiceState] = []
        self.down: dict[int, str] = {}  # what a first replica does that is down, or cut off
        self._numbers: dict[bytes, int] = {}  # by a digest of its text, of which there are many
        self._canon = Canon(scenario.ignored)
        self._last: tuple[Any, Any] = (None, None)  # what was driven without a fault, and how
        self.crash_points: set[str] = set()  # where its processes have died so far
        self.steps = 0  # how often the real runtime was driven

    def start(self) -> int:
        """The service with the rows that it has at first, its processes up."""
        tables: Tables = {}
        for row in self._scenario.rows.get(self.name, ()):
            tables.setdefault(type(row), {})[key_of(row)] = row
        return self._number(ServiceState(tables, tables, (CONNECTED,) * self.replicas))

    def _number(self, local: ServiceState) -> int:
        """The number of this local state: the same for all that behave the same."""
        text = blake2b(self._canon.text(local).encode(), digest_size=16).digest()
        number = self._numbers.get(text)
        if number is None:
            declared = {*MACHINERY, *self._saga.services[self.name].rows}
            for kind in local.tables.keys() - declared:
                raise ValueError(f"{self.name} has no rows {kind.__name__}: see its Service")
            number = self._numbers[text] = len(self.locals)
            self.locals.append(local)
            process = local.processes[0]
            if process is None:
                self.down[number] = "restart"
            elif process is not GONE and not process.connected:
                self.down[number] = "reconnect"
        return number

    def subject(self, what: What) -> str:
        """The saga that an input is about; empty for what concerns the whole process."""
        kind, *about = what[1][0]
        if kind == "deliver":
            return self._messages.values[about[0].message].subject
        return about[-1] if kind == "answer" or kind in AWAITED else ""

    # ── what may come of it ───────────────────────────────────────────────────────────────────
    def calm(self, number: int, what: What) -> Outcome:
        """What comes of this input, if no fault strikes on the way."""
        local, (replica, inputs) = self.locals[number], what
        kind, *about = inputs[0]
        if kind in ("crash", "gone"):
            return self._idle((kind, "idle"), local, replica, None if kind == "crash" else GONE)
        if kind == "cut off":
            memory, heard = local.processes[replica]
            memory = replace(memory, outbox=replace(memory.outbox, is_open=False))
            heard = tuple(each for each in heard if not isinstance(each, Confirmed))
            return self._idle(("line", "idle"), local, replica, ProcessState(memory, heard))
        if kind == "read":
            tables = local.tables | {Replica: {}}
            begun = Begun(replica, tuple(about), tables, self._drawn(local))
            local = local._replace(begun=(*local.begun, begun))
            return Outcome(None, self._number(local), acked=len(about))
        held = (it for kind, *about in inputs if kind in DELIVERED for it in about)
        if any(self._messages.values[it.message].body == POISON for it in held):
            return self._idle(("poison", "delivery"), local, replica, None)
        drive, left = self._drive(local, what)
        self._last = (number, what), drive
        return self._outcome(None, drive, left)

    def _idle(self, fault: Any, local: ServiceState, replica: int, process: Any) -> Outcome:
        """What strikes between two steps."""
        return Outcome(fault, self._number(local.replacing(replica, process)))

    def struck(self, number: int, what: What, calm: Outcome) -> Iterator[Outcome]:
        """What else comes of it, by each fault that can strike on the way; `calm`, without one."""
        if calm.fault is not None or what[1][0][0] == "read":
            return
        local, (last, drive) = self.locals[number], self._last
        if last != (number, what):
            drive, _ = self._drive(local, what)
        seen = {calm[1:]}
        for outcome in self._struck(local, what, calm, drive):
            if outcome[1:] not in seen:
                seen.add(outcome[1:])
                yield outcome

    def _struck(
        self, local: ServiceState, what: What, calm: Outcome, drive: StepDriver
    ) -> Iterator[Outcome]:
        """With each fault that can strike where, without one, this came of it, in this way."""
        kinds, inputs = self._scenario.kinds, what[1]
        for i, (cut, before) in enumerate(zip(drive.cuts, _names(drive.cuts), strict=True)):
            self.crash_points |= {f"before {cut.point}"} if cut.point != "end" else set()
            self.crash_points |= {f"after {drive.cuts[i - 1].point}"} if i else set()
            yield from self._crashes(local, what[0], cut, before, drive)
            for kind in self._strikes.get(cut.point, ()):
                if kind in kinds:
                    yield self._outcome((kind, before), *self._drive(local, what, (kind, i)))
        if "handler" in kinds:
            for i in (i for i, (kind, *_) in enumerate(inputs) if kind in FAILING):
                self._tripwire.left = i
                driven = self._drive(local, what)
                self._tripwire.left = -1
                yield self._outcome(("handler", "handler"), *driven)
        if "duplicate" in kinds and calm.acked:
            yield calm._replace(fault=("duplicate", "delivery"), acked=0)
        if "reply" in kinds and calm.replies:
            yield calm._replace(fault=("reply", "reply"), replies=())

    def _crashes(
        self, local: ServiceState, replica: int, cut: CrashPoint, before: str, drive: StepDriver
    ) -> Iterator[Outcome]:
        for kind, tables in (("crash", cut.tables), ("power", cut.synced), ("gone", cut.tables)):
            if kind not in self._scenario.kinds or (kind == "gone" and not local.has_sibling):
                continue
            left = local.replacing(replica, GONE if kind == "gone" else None)
            kept = cut._replace(tables=tables, synced=tables)
            yield self._outcome((kind, before), drive, left, kept)

    def _outcome(
        self, fault: Any, drive: StepDriver, left: ServiceState, cut: CrashPoint | None = None
    ) -> Outcome:
        """What has come of it by this cut (or by its end), and the processes that are left."""
        cut = cut or drive.cuts[-1]
        left = left._replace(tables=cut.tables, synced=cut.synced, ledger=cut.ledger)
        said = (self._messages.number(self._message(it)) for it in drive.said[: cut.said])
        return Outcome(fault, self._number(left), tuple(said), cut.acked, cut.replies)

    def _message(self, output: Outbox | Announce) -> Message:
        if isinstance(output, Announce):
            return Message("events", output.key, {}, output.body, self._user)
        events = output.exchange == "events"
        where = ("events", output.type) if events else ("", f"{self.name}.dead")
        return Message(*where, output.headers, output.body, self._user)

    def _drive(
        self, local: ServiceState, what: What, fault: Fault | None = None
    ) -> tuple[StepDriver, ServiceState]:
        """Give the runtime this input; how that went, and the processes at the end."""
        (replica, inputs), it = what, self._scenario
        begun, process = local.begun_by(replica), local.processes[replica] or ProcessState()
        local = local.replacing(replica, process)
        then = (begun.tables, begun.drawn) if begun else (None, self._drawn(local))
        given, local, process = prepared(local, process, inputs, self._messages)
        disk = it.disk(local.tables, local.synced, *then)
        # The jitter: any number would do, as time stands still.
        about = self.name, disk, it.names[replica], lambda: 0.5, self._user, it.windows
        runtime = it.runtime(self._saga, *about)
        runtime.restore(process.memory)
        self.steps += 1
        before = local.ledger, [*process.heard], fault
        drive = StepDriver(runtime, disk, *before, *self._around)
        drive.feed(given, "timer" if isinstance(given[-1], Tick) else "commit")
        process = ProcessState(runtime.volatile(), tuple(drive.heard))
        return drive, local.replacing(replica, process)

    def _drawn(self, local: ServiceState) -> int:
        """The greatest number that any transaction has drawn."""
        if not self._scenario.disk.is_shared:
            return 0
        open = (it.drawn + DRAWN for it in local.begun)
        return max(last_number(local.tables), *open, 0)


def _names(cuts: list[CrashPoint]) -> Iterator[str]:
    """The points of a step by name: `publish`, `publish 2`, …, and `after …` at its end."""
    points = [cut.point for cut in cuts]
    for i, point in enumerate(points):
        times = points[: i + 1].count(point)
        again = f" {times}" if times > 1 else ""
        yield f"after {points[i - 1]}" if point == "end" else point + again
