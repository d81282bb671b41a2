"""The world: the members, the queues between them, the customers; its states and its moves.

A state is a tuple of numbers: a local state of each service, the contents of each queue, of the
dead letters, of the customers' minds, and the phase. The phase is one of the reductions:

- *Sinks last.* Notification and audit say nothing that anybody hears. So a history can be
  rearranged with all they do at its end, and what they have been told is the same.
- *Mails by order.* What notification does about one order and about another commutes.
- *Restarts at once.* A lone process that is down or cut off does nothing that others could see,
  and nobody can touch its tables; so it may as well come back at once.
- *Confirms at once*, and *mails at once*: see `drive`.
- *Like customers in line.* Customers with the same wish differ only in name.

Each has a name in `REDUCTIONS`; a test leaves them out one by one, and finds the same.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from ecom.services.inventory import Stock
from ecom_lab.shop import SERVICES
from ecom_lab.simulator.broker import Message
from ecom_lab.simulator.customers import WANTS, Customer, answered, request
from ecom_lab.simulator.enabled_actions import What
from ecom_lab.simulator.interning import Numbers, Post
from ecom_lab.simulator.queues import COUNTED, Queues, entry_of, held_in
from ecom_lab.simulator.scenario import Design, Scenario
from ecom_lab.simulator.service_model import Member, Outcome

State = tuple[int, ...]
REDUCTIONS = frozenset(("sinks last", "mails by order", "restarts", "at once", "in line"))
CORE, MAILS, LOG = 0, 1, 2  # phases
QUEUES, DEAD, CUSTOMERS, PHASE = 5, 10, 11, 12  # where they are in a state
NOTIFICATION, AUDIT = SERVICES.index("notification"), SERVICES.index("audit")
STRAY = Message("events", "order.created", {}, b"no event")


class Move(NamedTuple):
    """One transition: who does what, which fault strikes, and how the state changes."""

    who: int
    what: What
    outcome: Outcome
    cost: int  # faults
    said: tuple[tuple[int, int], ...]  # (where in the state, entry): what goes into queues
    optional: bool = False  # nobody has to: customers may come, and change their mind


def is_due(move: Move) -> bool:
    """Whether this must come, sooner or later, if nothing else does."""
    return not move.optional and not move.cost


class World:
    """All that can happen to a design in a scenario."""

    def __init__(
        self, scenario: Scenario, design: Design | None = None, counting: bool = False,
        reductions: frozenset[str] = REDUCTIONS,
    ) -> None:  # fmt: skip
        self.scenario, self.design, self.reductions = scenario, design or Design(), reductions
        self._counting = counting  # whether the design looks at how often a message came back
        self.post = Post()
        self.members = [
            Member(name, self.design, scenario, "at once" in reductions, self.post)
            for name in SERVICES
        ]
        self.queues, self.customers = Queues(), Numbers()
        self._moves: dict[tuple[Any, ...], list[Move]] = {}
        self._alone = all(member.replicas == 1 for member in self.members)

    def start(self) -> State:
        """Everything is up, nothing has happened."""
        stock = {sku: Stock(sku, units, units) for sku, units in self.scenario.stock}
        locals_ = [
            member.start({Stock: stock} if member.name == "inventory" else {})
            for member in self.members
        ]
        queues = [()] * 5
        if self.scenario.stray:
            queues[SERVICES.index("inventory")] = (entry_of(self.post.number(STRAY)),)
        customers = self.customers.number((Customer(),) * len(self.scenario.wishes))
        queue_numbers = [self.queues.number(queue) for queue in (*queues, ())]
        return (*locals_, *queue_numbers, customers, CORE)

    def local(self, state: State, name: str) -> Any:
        """The local state of a service."""
        who = SERVICES.index(name)
        return self.members[who].locals[state[who]]

    # ── moves ─────────────────────────────────────────────────────────────────────────────────
    def moves(self, state: State, budget: int) -> list[Move]:
        """Everything that may come next, if at most `budget` more faults may strike."""
        phase = state[PHASE]
        if phase == LOG:
            return self._log(state, budget)
        if forced := self._forced(state, budget):
            return forced
        if "sinks last" not in self.reductions:
            return self._all(state, range(5), budget)
        moves = self._all(state, range(3), budget) if phase == CORE else []
        if any(map(is_due, moves)):
            return moves
        mails = self._mails(state, budget)
        return moves + mails + ([] if any(map(is_due, mails)) else self._log(state, budget))

    def quiet(self, state: State) -> int:
        """How much is quiet: 0 nothing, 1 orders, stock and money, 2 mails too, 3 all."""
        if any(any(map(is_due, self._of(state, who, 0))) for who in range(3)):
            return 0
        if any(map(is_due, self._of_customers(state, 0))):
            return 0
        if any(map(is_due, self._of(state, NOTIFICATION, 0))):
            return 1
        return 2 if any(map(is_due, self._of(state, AUDIT, 0))) else 3

    def _mails(self, state: State, budget: int) -> list[Move]:
        """What notification may do next about the first order that it has anything to do about."""
        moves = self._of(state, NOTIFICATION, budget)
        if "mails by order" not in self.reductions:
            return moves
        member = self.members[NOTIFICATION]
        about = [member.subject(state[NOTIFICATION], move.what) for move in moves]
        pairs = list(zip(about, moves, strict=True))
        first = min((id_ for id_, move in pairs if is_due(move)), default="")
        return [move for id_, move in pairs if id_ in (first, "")]

    def _all(self, state: State, members: range, budget: int) -> list[Move]:
        moves = [move for who in members for move in self._of(state, who, budget)]
        return moves + self._of_customers(state, budget)

    def _forced(self, state: State, budget: int) -> list[Move]:
        if not self._alone or "restarts" not in self.reductions:
            return []
        for who in range(5):
            mind = self.members[who].locals[state[who]].minds[0]
            if mind is None or not mind.connected:
                what = ("restart" if mind is None else "reconnect", 0)
                return self._known(state[who], who, what, 0, budget > 0)
        return []

    def _of(self, state: State, who: int, budget: int) -> list[Move]:
        """The moves of one service: what its queue holds, and what it wants by itself."""
        local, queue = state[who], state[QUEUES + who]
        key = who, local, queue, budget if budget < 2 else 2
        moves = self._moves.get(key)
        if moves is None:
            moves = self._moves[key] = list(self._find(who, local, queue, budget))
        return moves

    def _find(self, who: int, local: int, queue: int, budget: int) -> Iterator[Move]:
        member = self.members[who]
        minds = member.locals[local].minds
        for entry in dict.fromkeys(self.queues.values[queue]):
            for replica, mind in enumerate(minds):
                if mind is not None and mind.connected and member.free(local, replica):
                    reads = not self.design.locked and member.replicas > 1
                    what = ("read" if reads else "deliver", replica, (held_in(entry),))
                    yield from self._known(local, who, what, 0, budget > 0)
        for what, cost in member.wants(local):
            if cost <= budget:
                yield from self._known(local, who, what, cost, budget > cost)

    def _log(self, state: State, budget: int) -> list[Move]:
        """Audit takes all it has in one batch, or comes back after a fault."""
        queue = self.queues.values[state[QUEUES + AUDIT]]
        if queue and self.members[AUDIT].locals[state[AUDIT]].minds[0] is not None:
            batch = sorted(map(held_in, queue), key=self._by_name)
            what = ("deliver", 0, tuple(batch))
            return self._known(state[AUDIT], AUDIT, what, 0, budget > 0)
        return self._of(state, AUDIT, budget)

    def _by_name(self, held: tuple[int, int]) -> tuple[str, ...]:
        it = self.post.messages[held[0]]
        return it.headers.get("ce-subject", ""), it.key, it.headers.get("ce-id", "")

    def _known(self, local: int, who: int, what: What, cost: int, faulty: bool) -> list[Move]:
        key = who, local, what, cost, faulty
        moves = self._moves.get(key)
        if moves is None:
            member = self.members[who]
            outcomes = list(member.outcomes(local, what, False))
            if faulty:
                outcomes += member.outcomes(local, what, True)
            moves = self._moves[key] = [self._move(who, what, each, cost) for each in outcomes]
        return moves

    def _move(self, who: int, what: What, outcome: Outcome, cost: int) -> Move:
        said = []
        for message in outcome.said:
            said += self._routes(message)
        if what[0] in ("deliver", "write"):
            back = what[2][outcome.acked :]
            counted = 1 if self._counting else 0
            said += [(QUEUES + who, entry_of(m, min(n + counted, COUNTED))) for m, n in back]
        free = what[0] in ("crash", "cut off") or outcome.fault is None
        return Move(who, what, outcome, cost if free else cost + 1, tuple(said))

    def _routes(self, message: int) -> list[tuple[int, int]]:
        it = self.post.messages[message]
        if not it.exchange:
            return [(DEAD, entry_of(message))]
        names = self.design.listeners(it.key)
        return [(QUEUES + SERVICES.index(name), entry_of(message)) for name in names]

    # ── customers ─────────────────────────────────────────────────────────────────────────────
    def _of_customers(self, state: State, budget: int) -> list[Move]:
        if self.members[0].locals[state[0]].minds[0] is None:
            return []
        moves = []
        customers = self.customers.values[state[CUSTOMERS]]
        for i, customer in enumerate(customers):
            if (what := self._asks(i, customers)) is not None:
                known = self._known(state[0], 0, what, 0, budget > 0)
                optional = customer.is_free
                moves += [move._replace(optional=True) for move in known] if optional else known
        return moves

    def _asks(self, i: int, customers: tuple[Customer, ...]) -> What | None:
        """What this customer asks for next, if anything."""
        wishes = self.scenario.wishes
        first = "in line" not in self.reductions or all(
            customers[j].stage != WANTS or wishes[j] != wishes[i] for j in range(i)
        )
        return request(i, customers[i], wishes[i], self.design.keys) if first else None

    # ── what a move does ──────────────────────────────────────────────────────────────────────
    def after(self, state: State, move: Move) -> State:
        """The state that a move leads to."""
        new = list(state)
        who, what = move.who, move.what
        new[who] = move.outcome.local
        if what[0] in ("deliver", "read"):
            new[QUEUES + who] = self.queues.without(new[QUEUES + who], what[2])
        elif what[0] == "command":
            customers = answered(self.customers.values[new[CUSTOMERS]], what[4], move.outcome.reply)
            new[CUSTOMERS] = self.customers.number(customers)
        for where, entry in move.said:
            new[where] = self.queues.plus(new[where], entry)
        if "sinks last" in self.reductions and who >= NOTIFICATION:
            new[PHASE] = max(new[PHASE], MAILS if who == NOTIFICATION else LOG)
        return tuple(new)
