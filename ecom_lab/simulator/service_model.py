"""One service in the world: every input it may be given, and everything that may come of it.

A service's step depends on nothing but its own local state and the input, so each is run once,
with every fault that can strike on the way, and remembered. The explorer then combines.
"""

from collections import Counter as Tally
from collections.abc import Iterator
from typing import Any, NamedTuple

from msgspec.structs import replace

from ecom.runtime.memory import Memory, Window
from ecom.runtime.messages import Command, Confirmed, Delivery, PublisherUp, Tick
from ecom.runtime.tables import Effect, Inbox, Outbox, Timer
from ecom_lab.shop import SAGA
from ecom_lab.simulator.broker import headers_of
from ecom_lab.simulator.durability import Tables
from ecom_lab.simulator.enabled_actions import OUTGOING, What, begun_by, now_due, row_of, wants
from ecom_lab.simulator.interning import Post
from ecom_lab.simulator.scenario import Design, Scenario
from ecom_lab.simulator.service_state import Local, Mind, Texts, canonical, replaced
from ecom_lab.simulator.step import NOTHING, Cut, Drive, Tripwire

# Which faults may strike before which point of a step.
STRIKES = {
    "commit": ("store",),
    "mark sent": ("store",),
    "timer": ("store",),
    "ack": ("line",),
    "publish": ("line", "return"),
    "confirm": ("line",),
    "gateway call": ("fails", "late"),
    "mail": ("fails", "late"),
}
CONNECTED = Mind(Memory(outbox=Window(is_open=True)))
FAILING = ("deliver", "answer", "timer", "retry")  # inputs whose handler may fail


class Outcome(NamedTuple):
    """What came of an input, and of the fault (kind, point) that struck on the way, if one did."""

    fault: tuple[str, str] | None
    local: int
    said: tuple[int, ...]  # the messages that the broker took
    acked: int  # deliveries
    reply: Any


class Member:
    """A service of this design: local states by number, and what each can lead to."""

    def __init__(
        self, name: str, design: Design, scenario: Scenario, eager: bool, post: Post
    ) -> None:
        self.name, self._design, self._scenario, self._eager = name, design, scenario, eager
        self._post = post
        self._tripwire = Tripwire()
        service = design.service(name, scenario)
        guarded = {kind: self._tripwire.around(each) for kind, each in service.handlers.items()}
        self._saga = SAGA.replacing(service.answering(guarded))
        self.replicas = scenario.replicas.get(name, 1)
        self.locals: list[Local] = []
        self._numbers: dict[str, int] = {}
        self._texts: Texts = {}
        self._known: dict[tuple[int, What, bool], list[Outcome]] = {}
        self.crash_points: set[str] = set()  # where its processes have died so far
        self.steps = 0  # how often the real runtime was driven

    def start(self, tables: Tables) -> int:
        """The service with these tables, its processes up."""
        return self.number(Local(tables, tables, (CONNECTED,) * self.replicas))

    def number(self, local: Local) -> int:
        """The number of this local state: the same for all that behave the same."""
        text = canonical(local, self._texts)
        number = self._numbers.get(text)
        if number is None:
            number = self._numbers[text] = len(self.locals)
            self.locals.append(local)
        return number

    def free(self, number: int, replica: int) -> bool:
        """Whether this replica has no transaction open."""
        return not begun_by(self.locals[number], replica)

    def subject(self, number: int, what: What) -> str:
        """The order that an input is about; empty for what concerns the whole process."""
        kind, _, *about = what
        if kind == "deliver":
            return self._post.messages[about[0][0][0]].headers.get("ce-subject", "")
        tables = self.locals[number].tables
        kinds = {"retry": (Inbox,), "again": (Outbox, Effect), "answer": (Outbox, Effect)}
        rows = [row for each in kinds.get(kind, ()) for row in tables.get(each, {}).values()]
        return next((row.subject for row in rows if row.id == about[-1]), "")

    # ── what may come next ────────────────────────────────────────────────────────────────────
    def wants(self, number: int) -> list[tuple[What, int]]:
        """The inputs that need nobody else, each with the number of faults it takes."""
        local = self.locals[number]
        kinds = self._scenario.kinds
        return [it for replica in range(self.replicas) for it in wants(local, replica, kinds)]

    # ── what may come of it ───────────────────────────────────────────────────────────────────
    def outcomes(self, number: int, what: What, faulty: bool) -> list[Outcome]:
        """What comes of this input: without a fault, or with each fault there is."""
        key = number, what, faulty
        if key not in self._known:
            find = self._with_faults if faulty else self._without
            self._known[key] = list(find(self.locals[number], number, what))
        return self._known[key]

    def _without(self, local: Local, _: int, what: What) -> Iterator[Outcome]:
        kind, replica = what[:2]
        if kind == "crash":
            yield self._idle("crash", local, replica, None)
        elif kind == "cut off":
            yield self._cut_off(local, replica)
        elif kind == "read":
            local = local._replace(reading=(*local.reading, (replica, what[2], local.tables)))
            yield Outcome(None, self.number(local), (), len(what[2]), NOTHING)
        else:
            yield self._outcome(None, *self._drive(local, what))

    def _cut_off(self, local: Local, replica: int) -> Outcome:
        memory, heard = local.minds[replica]
        memory = replace(memory, outbox=replace(memory.outbox, is_open=False))
        heard = tuple(each for each in heard if not isinstance(each, Confirmed))
        return self._idle("line", local, replica, Mind(memory, heard))

    def _idle(self, fault: str, local: Local, replica: int, mind: Mind | None) -> Outcome:
        """What strikes between two steps."""
        number = self.number(local._replace(minds=replaced(local.minds, replica, mind)))
        return Outcome((fault, "idle"), number, (), 0, NOTHING)

    def _with_faults(self, local: Local, number: int, what: What) -> Iterator[Outcome]:
        if what[0] in ("crash", "cut off", "read"):
            return
        calm = self.outcomes(number, what, False)[0]
        seen = {calm[1:]}
        for outcome in self._struck(local, what):
            if outcome[1:] not in seen:
                seen.add(outcome[1:])
                yield outcome

    def _struck(self, local: Local, what: What) -> Iterator[Outcome]:
        kinds = self._scenario.kinds
        drive, rest = self._drive(local, what)
        calm = self._outcome(None, drive, rest)
        for i, (cut, before) in enumerate(zip(drive.cuts, _names(drive.cuts), strict=True)):
            self.crash_points |= {f"before {cut.point}"} if cut.point != "end" else set()
            self.crash_points |= {f"after {drive.cuts[i - 1].point}"} if i else set()
            yield from self._crashes(local, what[1], cut, before, drive.said)
            for kind in STRIKES.get(cut.point, ()):
                if kind in kinds:
                    yield self._outcome((kind, before), *self._drive(local, what, (kind, i)))
        if "handler" in kinds and what[0] in FAILING:
            self._tripwire.armed = True
            yield self._outcome(("handler", "handler"), *self._drive(local, what))
            self._tripwire.armed = False
        if "duplicate" in kinds and what[0] == "deliver" and calm.acked:
            yield calm._replace(fault=("duplicate", "delivery"), acked=0)
        if "reply" in kinds and calm.reply is not NOTHING:
            yield calm._replace(fault=("reply", "reply"), reply=NOTHING)

    def _crashes(
        self, local: Local, replica: int, cut: Cut, before: str, said: list[Outbox]
    ) -> Iterator[Outcome]:
        minds = replaced(local.minds, replica, None)
        for kind, tables in (("crash", cut.tables), ("power", cut.synced)):
            if kind in self._scenario.kinds:
                left = Local(tables, tables, minds, cut.ledger)
                said_ = self._post.stamp(self.name, said[: cut.said])
                yield Outcome((kind, before), self.number(left), said_, cut.acked, cut.reply)

    def _outcome(self, fault: Any, drive: Drive, local: Local) -> Outcome:
        said = self._post.stamp(self.name, drive.said)
        return Outcome(fault, self.number(local), said, drive.acked, drive.reply)

    def _drive(self, local: Local, what: What, fault: Any = None) -> tuple[Drive, Local]:
        kind, replica = what[:2]
        mind = local.minds[replica] or Mind()
        early = begun_by(local, replica)[2] if kind == "write" else None
        local = local._replace(reading=tuple(it for it in local.reading if it[0] != replica))
        inputs, local, mind = self._prepare(local, mind, what)
        self.steps += 1
        drive = Drive(
            self._design, self._saga, self.name, local, replica, mind, self._eager, fault, early
        )
        drive.feed(inputs, "timer" if kind in ("timer", "retry", "again") else "commit")
        return drive, drive.local(local, replica)

    def _prepare(self, local: Local, mind: Mind, what: What) -> tuple[list, Local, Mind]:
        """The inputs proper. What comes due is what the clock has reached: its time is now."""
        kind, _, *about = what
        if kind in ("deliver", "write"):
            return [self._delivery(tag, *each) for tag, each in enumerate(about[0], 1)], local, mind
        if kind == "command":
            message, id_, customer = about
            return [Command(id_, message, customer)], local, mind
        if kind in ("restart", "reconnect"):
            return [PublisherUp()], local, mind
        if kind == "tick":
            return [Tick()], local, mind
        if kind == "answer":
            news = next(each for each in mind.heard if row_of(each, local) == about[0])
            heard = tuple(each for each in mind.heard if each is not news)
            return [news], local, mind._replace(heard=heard)
        row_type = {"timer": Timer, "retry": Inbox, "again": OUTGOING.get(about[0])}[kind]
        return [Tick()], now_due(local, row_type, about[-1]), mind

    def _delivery(self, tag: int, message: int, returned: int) -> Delivery:
        it = self._post.messages[message]
        headers = headers_of(it.headers, returned)
        return Delivery(1, tag, it.exchange, it.key, headers, it.body, it.user)


def _names(cuts: list[Cut]) -> Iterator[str]:
    """The points of a step by name: `publish`, `publish 2`, …, and `after …` at its end."""
    times: Tally[str] = Tally()
    for i, cut in enumerate(cuts):
        times[cut.point] += 1
        again = f" {times[cut.point]}" if times[cut.point] > 1 else ""
        yield f"after {cuts[i - 1].point}" if cut.point == "end" else cut.point + again
