"""The world: the members, the queues between them, the customers; its states and its moves.

A state is a tuple of numbers: a local state of each service, the contents of each queue, of the
dead letters, of the customers' minds, and the phase. The phase is one of the reductions:

- *Sinks last.* Notification and audit say nothing that anybody hears. So a history can be
  rearranged with all they do at its end, and what they have been told is the same.
- *Restarts at once.* A lone process that is down or cut off does nothing that others could see,
  and nobody can touch its tables; so it may as well come back at once.
- *Confirms at once*, and *mails at once*: see `drive`.
- *Like customers in line.* Customers with the same wish differ only in name.

`World(…, reduced=False)` makes none of them; a test holds both to the same findings.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from ecom.events import SERVICES
from ecom.lab.broker import Message
from ecom.lab.drive import NOTHING
from ecom.lab.member import Member, Outcome, Post, What
from ecom.lab.scenario import Design, Scenario, Wish
from ecom.services.inventory import Stock
from ecom.services.order import CancelOrder, PlaceOrder

State = tuple[int, ...]
CORE, MAILS, LOG = 0, 1, 2  # phases
QUEUES, DEAD, CUSTOMERS, PHASE = 5, 10, 11, 12  # where they are in a state
NOTIFICATION, AUDIT = SERVICES.index("notification"), SERVICES.index("audit")
WANTS, PLACED, CANCELLING, DONE = range(4)
STRAY = Message("events", "order.created", {}, b"no event")
COUNTED = 7  # deliveries that came back are counted up to here


class Move(NamedTuple):
    """One transition: who does what, which fault strikes, and how the state changes."""

    who: int
    what: What
    outcome: Outcome
    cost: int  # faults
    said: tuple[tuple[int, int], ...]  # (where in the state, entry): what goes into queues
    optional: bool = False  # nobody has to: a customer's change of mind


class Customer(NamedTuple):
    """How far one customer has come."""

    stage: int = WANTS
    attempt: int = 0
    order_id: str = ""


class Numbers:
    """Values of one kind, by number."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._numbers: dict[Any, int] = {}

    def number(self, value: Any) -> int:
        """The number of this value; equal values share one."""
        number = self._numbers.setdefault(value, len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number


class World:
    """All that can happen to a design in a scenario."""

    def __init__(
        self, scenario: Scenario, design: Design | None = None, reduced: bool = True,
        counting: bool = False,
    ) -> None:  # fmt: skip
        self.scenario, self.design, self.reduced = scenario, design or Design(), reduced
        self._counting = counting  # whether the design looks at how often a message came back
        self.post = Post()
        self.members = [
            Member(name, self.design, scenario, reduced, self.post) for name in SERVICES
        ]
        self.queues, self.customers = Numbers(), Numbers()
        self._added: dict[tuple[int, int], int] = {}
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
            queues[SERVICES.index("inventory")] = (self._entry(self.post.number(STRAY)),)
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
        if not self.reduced:
            return self._all(state, range(5), budget)
        phase = state[PHASE]
        if phase == LOG:
            return self._log(state, budget)
        if forced := self._forced(state, budget):
            return forced
        if phase == MAILS:
            return self._of(state, NOTIFICATION, budget) or self._log(state, budget)
        moves = self._all(state, range(3), budget)
        if all(move.optional for move in moves):
            sinks = self._of(state, NOTIFICATION, budget) or self._log(state, budget)
            return moves + sinks
        return moves

    def _all(self, state: State, members: range, budget: int) -> list[Move]:
        moves = [move for who in members for move in self._of(state, who, budget)]
        return moves + self._of_customers(state, budget)

    def _forced(self, state: State, budget: int) -> list[Move]:
        if not self._alone:
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
                if mind is not None and mind.connected:
                    what = ("deliver", replica, (self._held(entry),))
                    yield from self._known(local, who, what, 0, budget > 0)
        for what, cost in member.wants(local):
            if cost <= budget:
                yield from self._known(local, who, what, cost, budget > cost)

    def _log(self, state: State, budget: int) -> list[Move]:
        """Audit takes all it has in one batch, or comes back after a fault."""
        queue = self.queues.values[state[QUEUES + AUDIT]]
        if queue and self.members[AUDIT].locals[state[AUDIT]].minds[0] is not None:
            what = ("deliver", 0, tuple(self._held(entry) for entry in queue))
            return self._known(state[AUDIT], AUDIT, what, 0, budget > 0)
        return self._of(state, AUDIT, budget)

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
        if what[0] == "deliver":
            back = what[2][outcome.acked :]
            counted = 1 if self._counting else 0
            said += [(QUEUES + who, self._entry(m, min(n + counted, COUNTED))) for m, n in back]
        free = what[0] in ("crash", "cut off") or outcome.fault is None
        return Move(who, what, outcome, cost if free else cost + 1, tuple(said))

    def _routes(self, message: int) -> list[tuple[int, int]]:
        it = self.post.messages[message]
        if not it.exchange:
            return [(DEAD, self._entry(message))]
        names = self.design.listeners(it.key)
        return [(QUEUES + SERVICES.index(name), self._entry(message)) for name in names]

    # ── customers ─────────────────────────────────────────────────────────────────────────────
    def _of_customers(self, state: State, budget: int) -> list[Move]:
        if self.members[0].locals[state[0]].minds[0] is None:
            return []
        moves = []
        customers = self.customers.values[state[CUSTOMERS]]
        for i, customer in enumerate(customers):
            if (what := self._request(i, customer, customers)) is not None:
                known = self._known(state[0], 0, what, 0, budget > 0)
                optional = customer.stage == PLACED
                moves += [move._replace(optional=True) for move in known] if optional else known
        return moves

    def _request(self, i: int, customer: Customer, customers: Any) -> What | None:
        """What this customer asks for next, if anything."""
        wish = self.scenario.wishes[i]
        id_ = f"customer-{i}/{customer.stage != WANTS:d}/{customer.attempt}"
        if customer.stage == WANTS and self._in_line(i, customers):
            return ("command", 0, _order(i, wish, self.design.keys), id_, i)
        if customer.stage == CANCELLING or (customer.stage == PLACED and wish.may_cancel):
            return ("command", 0, CancelOrder(customer.order_id), id_, i)
        return None

    def _in_line(self, i: int, customers: Any) -> bool:
        if not self.reduced:
            return True
        wishes = self.scenario.wishes
        return all(
            customers[j].stage != WANTS or wishes[j] != wishes[i] for j in range(i)
        )

    def _answered(self, customers: tuple[Customer, ...], move: Move) -> tuple[Customer, ...]:
        i, reply = move.what[4], move.outcome.reply
        customer = customers[i]
        placing = customer.stage == WANTS
        if reply is NOTHING:
            stage = WANTS if placing else CANCELLING
            after = customer._replace(stage=stage, attempt=customer.attempt + 1)
        else:
            after = Customer(PLACED if placing else DONE, 0, reply)
        return (*customers[:i], after, *customers[i + 1 :])

    # ── what a move does ──────────────────────────────────────────────────────────────────────
    def after(self, state: State, move: Move) -> State:
        """The state that a move leads to."""
        new = list(state)
        who, what = move.who, move.what
        new[who] = move.outcome.local
        if what[0] == "deliver":
            new[QUEUES + who] = self._without(new[QUEUES + who], what[2])
        elif what[0] == "command":
            customers = self._answered(self.customers.values[new[CUSTOMERS]], move)
            new[CUSTOMERS] = self.customers.number(customers)
        for where, entry in move.said:
            new[where] = self._with(new[where], entry)
        if self.reduced and who >= NOTIFICATION:
            new[PHASE] = max(new[PHASE], MAILS if who == NOTIFICATION else LOG)
        return tuple(new)

    def _with(self, queue: int, entry: int) -> int:
        key = queue, entry
        number = self._added.get(key)
        if number is None:
            entries = tuple(sorted((*self.queues.values[queue], entry)))
            number = self._added[key] = self.queues.number(entries)
        return number

    def _without(self, queue: int, held: Any) -> int:
        key = queue, held
        number = self._added.get(key)
        if number is None:
            entries = list(self.queues.values[queue])
            for message, returned in held:
                entries.remove(self._entry(message, returned))
            number = self._added[key] = self.queues.number(tuple(entries))
        return number

    def _entry(self, message: int, returned: int = 0) -> int:
        return message * (COUNTED + 1) + returned

    def _held(self, entry: int) -> tuple[int, int]:
        return divmod(entry, COUNTED + 1)


def _order(i: int, wish: Wish, keys: bool) -> PlaceOrder:
    key = f"wish-{i}" if keys else None
    return PlaceOrder(f"customer-{i}@example.org", wish.card, wish.lines, key, digest=f"{i}")
