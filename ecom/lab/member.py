"""One service in the world: every input it may be given, and everything that may come of it.

A service's step depends on nothing but its own local state and the input, so each is run once,
with every fault that can strike on the way, and remembered. The explorer then combines.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from msgspec.structs import replace

from ecom.lab.broker import Message, headers_of
from ecom.lab.disk import Tables
from ecom.lab.drive import NOTHING, Cut, Drive, Tripwire
from ecom.lab.local import Local, Mind, canonical
from ecom.lab.scenario import Design, Scenario
from ecom.ports import Command, Confirmed, Delivery, PublisherUp, Tick
from ecom.rows import Effect, Inbox, Outbox, Timer
from ecom.service import Service

What = tuple[Any, ...]  # an input: its kind, the number of the replica, and what it is about

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
FAILING = ("deliver", "answer", "timer", "retry")  # inputs whose handler may fail


class Post:
    """Every message there has ever been, by number."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._numbers: dict[str, int] = {}

    def number(self, message: Message) -> int:
        """The number of this message; equal messages share one."""
        number = self._numbers.setdefault(repr(message), len(self.messages))
        if number == len(self.messages):
            self.messages.append(message)
        return number

    def stamp(self, service: str, rows: Iterable[Outbox]) -> tuple[int, ...]:
        """The numbers of these rows, as a service publishes them."""
        return tuple(
            self.number(
                Message("events", row.type, row.headers, row.body)
                if row.exchange == "events"
                else Message("", f"{service}.dead", row.headers, row.body)
            )
            for row in rows
        )


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
        self._service = Service(
            service.name, service.rows, guarded, service.effects, service.retries
        )
        self.replicas = scenario.replicas.get(name, 1)
        self.locals: list[Local] = []
        self._numbers: dict[str, int] = {}
        self._known: dict[tuple[int, What, bool], list[Outcome]] = {}
        self.points: set[tuple[str, str]] = set()  # (fault, before which point) struck so far
        self.steps = 0  # how often the real runtime was driven

    def start(self, tables: Tables) -> int:
        """The service with these tables, its processes up."""
        return self.number(Local(tables, tables, (Mind(connected=True),) * self.replicas))

    def number(self, local: Local) -> int:
        """The number of this local state: the same for all that behave the same."""
        text = canonical(local)
        number = self._numbers.get(text)
        if number is None:
            number = self._numbers[text] = len(self.locals)
            self.locals.append(local)
        return number

    # ── what may come next ────────────────────────────────────────────────────────────────────
    def wants(self, number: int) -> list[tuple[What, int]]:
        """The inputs that need nobody else, each with the number of faults it takes."""
        local = self.locals[number]
        return [want for replica in range(self.replicas) for want in self._wants(local, replica)]

    def _wants(self, local: Local, replica: int) -> Iterator[tuple[What, int]]:
        mind = local.minds[replica]
        if mind is None:
            yield ("restart", replica), 0
            return
        if not mind.connected:
            yield ("reconnect", replica), 0
        for news in mind.heard:
            yield ("answer", replica, _about(news, local)), 0
        for timer in local.tables.get(Timer, {}):
            yield ("timer", replica, timer), 0
        for row in local.tables.get(Inbox, {}).values():
            if row.state == "waiting":
                yield ("retry", replica, row.id), 0
        yield from _overdue(local, replica, mind)
        if (mind.doing or mind.sent or not mind.connected) and "crash" in self._scenario.kinds:
            yield ("crash", replica), 1
        if mind.sent and mind.connected and "line" in self._scenario.kinds:
            yield ("cut off", replica), 1

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
            minds = (*local.minds[:replica], None, *local.minds[replica + 1 :])
            yield Outcome(("crash", "idle"), self.number(local._replace(minds=minds)), (), 0, NOTHING)
        elif kind == "cut off":
            yield self._cut_off(local, replica)
        else:
            yield self._outcome(None, *self._drive(local, what))

    def _cut_off(self, local: Local, replica: int) -> Outcome:
        mind = local.minds[replica]
        heard = tuple(each for each in mind.heard if not isinstance(each, Confirmed))
        mind = mind._replace(connected=False, heard=heard)
        minds = (*local.minds[:replica], mind, *local.minds[replica + 1 :])
        return Outcome(("line", "idle"), self.number(local._replace(minds=minds)), (), 0, NOTHING)

    def _with_faults(self, local: Local, number: int, what: What) -> Iterator[Outcome]:
        if what[0] in ("crash", "cut off"):
            return
        calm = self.outcomes(number, what, False)[0]
        seen = {calm[1:]}
        for outcome in self._struck(local, what):
            self.points.add(outcome.fault)
            if outcome[1:] not in seen:
                seen.add(outcome[1:])
                yield outcome

    def _struck(self, local: Local, what: What) -> Iterator[Outcome]:
        kinds = self._scenario.kinds
        drive, rest = self._drive(local, what)
        calm = self._outcome(None, drive, rest)
        for i, cut in enumerate(drive.cuts):
            before = cut.point if cut.point != "end" else f"after {drive.cuts[i - 1].point}"
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
        minds = (*local.minds[:replica], None, *local.minds[replica + 1 :])
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
        mind = local.minds[replica] or Mind(connected=False)
        inputs, local, mind = self._prepare(local, mind, what)
        self.steps += 1
        drive = Drive(self._design, self._service, local, replica, mind, self._eager, fault)
        drive.feed(inputs, "timer" if kind in ("timer", "retry", "again") else "commit")
        return drive, drive.local(local.minds, replica)

    def _prepare(self, local: Local, mind: Mind, what: What) -> tuple[list, Local, Mind]:
        """The inputs proper. What comes due is what the clock has reached: its time is now."""
        kind, _, *about = what
        if kind == "deliver":
            return [self._delivery(tag, *each) for tag, each in enumerate(about[0], 1)], local, mind
        if kind == "command":
            (message, id_), token = about, None
            return [Command(id_, message, token)], local, mind
        if kind in ("restart", "reconnect"):
            return [PublisherUp()], local, mind
        if kind == "answer":
            news = next(each for each in mind.heard if _about(each, local) == about[0])
            heard = tuple(each for each in mind.heard if each is not news)
            return [news], local, mind._replace(heard=heard)
        row_type = {"timer": Timer, "retry": Inbox, "again": _OUTGOING.get(about[0])}[kind]
        return [Tick()], _now_due(local, row_type, about[-1]), mind

    def _delivery(self, tag: int, message: int, returned: int) -> Delivery:
        it = self._post.messages[message]
        return Delivery(1, tag, it.exchange, it.key, headers_of(it.headers, returned), it.body)


_OUTGOING = {kind.table: kind for kind in (Outbox, Effect)}


def _about(news: Any, local: Local) -> str:
    """What an answer is about, by the id of its row."""
    if hasattr(news, "seqs"):
        return local.tables[Outbox][news.seqs[0]].id
    return local.tables[Effect][news.seq].id


def _overdue(local: Local, replica: int, mind: Mind) -> Iterator[tuple[What, int]]:
    """Outgoing rows that only the clock brings back: put off by their own replica, or a sibling's.

    A sibling that is merely slow is a fault; of one that is down, the lease simply runs out.
    """
    for kind, under_way, last in (
        (Outbox, mind.sent, mind.sent_last), (Effect, mind.doing, mind.doing_last)
    ):  # fmt: skip
        if kind is Outbox and not mind.connected:
            continue
        for seq, row in local.tables.get(kind, {}).items():
            if row.done_at is not None or seq in under_way:
                continue
            owner = int(row.owner) - 1
            if owner == replica and seq <= last:
                yield ("again", replica, kind.table, row.id), 0
            elif owner != replica:
                cost = int(local.minds[owner] is not None)
                yield ("again", replica, kind.table, row.id), cost


def _now_due(local: Local, kind: Any, id_: str) -> Local:
    rows = local.tables[kind]
    key, row = next((key, row) for key, row in rows.items() if row.id == id_)
    tables = local.tables | {kind: rows | {key: replace(row, due=0.0)}}
    synced = tables if local.synced == local.tables else local.synced
    return local._replace(tables=tables, synced=synced)
