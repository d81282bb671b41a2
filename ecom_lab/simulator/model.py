"""The world: the members, the queues between them, the clients; its states and its moves.

A state is a tuple of numbers: a local state of each service, the contents of each queue and of the
dead letters, how far the clients are, and the phase. The phase is one of the reductions:

- *Sinks last.* Nobody hears a service that publishes nothing. So a history can be rearranged
  with all that those do at its end, one after the other, and what they have been told is the same.
- *By subject.* What a sink does about one saga and about another commutes, if the scenario says so.
- *Restarts at once.* A lone process that is down or cut off does nothing that others could see,
  and nobody can touch its tables; so it may as well come back at once.
- *At once*: confirms, and answers to a sink: see `step`.
- *In line.* Clients with the same wish differ only in name.

Each has a name in `REDUCTIONS`; a test leaves them out one by one, and finds the same.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ecom_lab.simulator.broker import Held, Queue
from ecom_lab.simulator.choices import choices, steps
from ecom_lab.simulator.clients import Crowd, Progress, answered
from ecom_lab.simulator.enabled_actions import What
from ecom_lab.simulator.gaps import missed
from ecom_lab.simulator.interning import MessageTable, Numbers
from ecom_lab.simulator.routing import STRAY, Change, Routing
from ecom_lab.simulator.scenario import Scenario
from ecom_lab.simulator.service_model import Outcome, ServiceModel
from ecom_lab.simulator.service_state import ServiceState

State = tuple[int, ...]
REDUCTIONS = frozenset(("sinks last", "by subject", "restarts", "at once", "in line"))


class Move(NamedTuple):
    """One transition: who does what, which fault strikes, and how the state changes."""

    who: int
    what: What
    outcome: Outcome
    cost: int  # faults
    changes: tuple[Change, ...]
    asked: tuple[int, ...] = ()  # clients who ask for something
    optional: bool = False  # nobody has to: clients may come, and change their mind


LOST: What = (0, (("lost",),))
TALLY_DUE: What = (0, (("tally due",),))
FREE = (None, ("poison", "delivery"))  # no fault of a history


def is_due(move: Move) -> bool:
    """Whether this must come, sooner or later, if nothing else does."""
    return not move.optional and not move.cost


class Model:
    """All that can happen in a scenario."""

    def __init__(self, scenario: Scenario, reductions: frozenset[str] = REDUCTIONS) -> None:
        self.scenario, self.reductions = scenario, reductions
        contract = scenario.saga.contract
        self.names = contract.services
        self.noun = contract.events[0].__struct_fields__[0].removesuffix("_id")  # what a saga is of
        self.messages = MessageTable(contract.name)
        places = range(len(self.names))
        self.sinks = [who for who in places if not contract.published_by(self.names[who])]
        self.core = [who for who in places if who not in self.sinks]
        eager = "at once" in reductions
        self.members = [
            ServiceModel(name, scenario, self.messages, eager, who in self.sinks)
            for who, name in enumerate(self.names)
        ]
        self.queues, self.crowds = Numbers(), Numbers()
        self._routing = Routing(scenario, self.messages, self.core)
        self.dead = self._routing.dead
        requests = [it for client in scenario.clients for it in client.requests]
        asked = {it if isinstance(it, type) else type(it) for it in requests}
        if unknown := asked.difference(*(it.handlers for it in scenario.saga.services.values())):
            raise ValueError(f"a client asks for {unknown.pop().__name__}, which nobody handles")
        self._asked = [
            not asked.isdisjoint(scenario.saga.services[it].handlers) for it in self.names
        ]
        self._moves: dict[tuple[Any, ...], list[Move]] = {}
        self._alone = all(member.replicas == 1 for member in self.members)

    def start(self) -> State:
        """Everything is up, nothing has happened."""
        queues: list[Queue] = [() for _ in self.names]
        for name, message in self.scenario.strays:
            held = Held(self.messages.number(message), STRAY)
            queues[self.names.index(name)] += (held,)
        crowd = self.crowds.number((Progress(),) * len(self.scenario.clients))
        return (
            *(member.start(self._tables(member.name)) for member in self.members),
            *(self.queues.number(queue) for queue in (*queues, ())),
            crowd,
            0,
        )

    def _tables(self, name: str) -> dict[type, dict[Any, Any]]:
        tables: dict[type, dict[Any, Any]] = {}
        for row in self.scenario.rows.get(name, ()):
            tables.setdefault(type(row), {})[getattr(row, row.__struct_fields__[0])] = row
        return tables

    def local(self, state: State, who: int) -> ServiceState:
        """The local state of a service."""
        return self.members[who].locals[state[who]]

    def queue(self, state: State, who: int) -> Queue:
        """What lies in a service's queue."""
        return self.queues.values[state[self._routing.first + who]]

    def crowd(self, state: State) -> Crowd:
        """How far the clients are."""
        return self.crowds.values[state[-2]]

    # ── moves ─────────────────────────────────────────────────────────────────────────────────
    def moves(self, state: State, budget: int) -> list[Move]:
        """Everything that may come next, if at most `budget` more faults may strike."""
        if forced := self._forced(state, budget) or self._begun(state, budget):
            return forced
        if "sinks last" not in self.reductions:
            return self._of_all(state, range(len(self.names)), budget)
        phase = state[-1]
        moves = self._of_all(state, self.core, budget) if phase == 0 else []
        for number, who in enumerate(self.sinks, 1):
            if any(map(is_due, moves)):
                break
            if number >= phase:
                moves = moves + self._of_sink(state, who, budget)
        return moves

    def quiet(self, state: State) -> int:
        """How much is quiet: 0 nothing, 1 all but the sinks, 2 the first of these too, …"""
        if any(any(map(is_due, self._of(state, who, 0))) for who in self.core):
            return 0
        if "lost" in self.scenario.kinds and self._tallies(state, 0):
            return 0
        for number, who in enumerate(self.sinks, 1):
            if any(map(is_due, self._of(state, who, 0))):
                return number
        return 1 + len(self.sinks)

    @property
    def all_quiet(self) -> int:
        """What `quiet` says when nothing is to be done any more."""
        return 1 + len(self.sinks)

    def _of_all(self, state: State, members: Iterable[int], budget: int) -> list[Move]:
        moves = [move for who in members for move in self._of(state, who, budget)]
        if "lost" not in self.scenario.kinds:
            return moves
        moves += self._losses(state, budget)
        return moves if any(map(is_due, moves)) else moves + self._tallies(state, budget)

    def _of_sink(self, state: State, who: int, budget: int) -> list[Move]:
        """What this sink may do next, about the first saga that it has anything to do about."""
        member = self.members[who]
        if member.name in self.scenario.unordered and (queue := self.queue(state, who)):
            batch = sorted(queue, key=self._by_name)
            what = (0, tuple(("deliver", held) for held in batch))
            if member.takes(state[who], 0):
                return self.known(state[who], who, what, 0, budget > 0)
        moves = self._of(state, who, budget)
        if member.name not in self.scenario.by_subject or "by subject" not in self.reductions:
            return moves
        about = [(member.subject(state[who], move.what), move) for move in moves]
        first = min((subject for subject, move in about if is_due(move)), default="")
        return [move for subject, move in about if subject in (first, "")]

    def _by_name(self, held: Held) -> tuple[str, ...]:
        it = self.messages.values[held.message]
        return it.headers.get("ce-subject", ""), it.key, it.headers.get("ce-id", "")

    def _forced(self, state: State, budget: int) -> list[Move]:
        if not self._alone or "restarts" not in self.reductions:
            return []
        for who, number in enumerate(state[: len(self.names)]):
            process = self.members[who].locals[number].processes[0]
            if process is None or not process.connected:
                kind = "restart" if process is None else "reconnect"
                return self.known(number, who, (0, ((kind,),)), 0, budget > 0)
        return []

    def _begun(self, state: State, budget: int) -> list[Move]:
        """Whoever is in the middle of a transaction is only interrupted by its siblings: what other
        services do meanwhile, they may as well have done before."""
        if self._alone or self.scenario.disk.excludes:
            return []
        members = zip(self.members, state, strict=False)
        begun = (i for i, (member, number) in enumerate(members) if member.locals[number].begun)
        return [move for who in begun for move in self._of(state, who, budget)]

    def _of(self, state: State, who: int, budget: int) -> list[Move]:
        """The moves of one service: what its queue holds, its clients want, and it by itself."""
        queue, crowd = state[self._routing.first + who], state[-2]
        key = who, state[who], queue, crowd if self._asked[who] else 0, min(budget, 2)
        moves = self._moves.get(key)
        if moves is None:
            moves = self._moves[key] = list(self._find(state, who, budget))
        return moves

    def _find(self, state: State, who: int, budget: int) -> Iterator[Move]:
        for replica in range(self.members[who].replicas):
            found = choices(self, state, who, replica)
            for inputs, cost, optional in steps(found, self.scenario.batch):
                if cost <= budget:
                    known = self.known(state[who], who, (replica, inputs), cost, budget > cost)
                    yield from (m._replace(optional=True) for m in known) if optional else known

    def known(self, local: int, who: int, what: What, cost: int, faulty: bool) -> list[Move]:
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
        (replica, inputs), routing = what, self._routing
        taken = [it for kind, *it in inputs if kind in ("deliver", "overtake", "read")]
        given = [it for kind, *it in inputs if kind in ("deliver", "overtake", "write")]
        changes: list[Change] = [routing.leaves(who, held) for [held] in taken]
        back = [held for helds in given for held in helds][outcome.acked :]
        changes += [routing.comes_back(who, held) for held in reversed(back)]
        for message in outcome.said:
            changes += routing.published(message, who, replica)
        asked = tuple(about[2] for kind, *about in inputs if kind == "command")
        free = inputs[0][0] in ("crash", "gone", "cut off") or outcome.fault in FREE
        return Move(who, what, outcome, cost + (not free), tuple(changes), asked)

    def _losses(self, state: State, budget: int) -> Iterator[Move]:
        """A queue is deleted with all that is in it, and made anew."""
        for who in self.core if budget else ():
            if self.queue(state, who):
                outcome = Outcome(("lost", "idle"), state[who])
                yield Move(who, LOST, outcome, 1, (self._routing.lost(who),))

    def _tallies(self, state: State, budget: int) -> list[Move]:
        """Those whose events are missed say how many there were, if not now then later."""
        found = {
            who: self.known(state[who], who, TALLY_DUE, 0, budget > 0)
            for who in missed(self, state)
        }
        return [
            move
            for who, moves in found.items()
            if moves[0].outcome.said or moves[0].outcome.local != state[who]
            for move in moves
        ]

    # ── what a move does ──────────────────────────────────────────────────────────────────────
    def after(self, state: State, move: Move) -> State:
        """The state that a move leads to."""
        new = list(state)
        new[move.who] = move.outcome.local
        for where, how, *what in move.changes:
            new[where] = self.queues.changed(new[where], how, *what)
        if move.asked:
            new[-2] = self.crowds.changed(new[-2], answered, move.asked, move.outcome.replies)
        if "sinks last" in self.reductions and move.who in self.sinks:
            new[-1] = max(new[-1], 1 + self.sinks.index(move.who))
        return tuple(new)
