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

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import NamedTuple

from ecom.contract.topology import bindings
from ecom_lab.simulator import broker
from ecom_lab.simulator.broker import STRAY, Changed, Held, Numbers, Queue
from ecom_lab.simulator.choices import Crowd, Progress, What, answered, is_consuming, missed, steps
from ecom_lab.simulator.inputs import DELIVERED
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
    changes: tuple[Changed, ...]
    optional: bool = False  # nobody has to: clients may come, and change their mind


Moves = tuple[list[Move], bool]  # and whether any of them is due

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
        self.messages = Numbers(key=repr)  # every message there has ever been
        places = range(len(self.names))
        self.sinks = [who for who in places if not contract.published_by(self.names[who])]
        self.core = [who for who in places if who not in self.sinks]
        self.all_quiet = 1 + len(self.sinks)  # of `quiet`: nothing is to be done any more
        eager = "at once" in reductions
        self.members = [
            ServiceModel(name, scenario, self.messages, eager, who in self.sinks)
            for who, name in enumerate(self.names)
        ]
        last = self.sinks if "sinks last" in reductions else []
        self._phases = [1 + last.index(who) if who in last else 0 for who in places]
        self.queues, self.crowds = Numbers(), Numbers()
        self.first = len(self.names)  # where in a state the first queue is
        self.dead = 2 * self.first
        self.bindings = [
            (queue.partition(".")[2], key) for queue, key in bindings(contract, contract.name)
        ]
        requests = [it for client in scenario.clients for it in client.requests]
        asked = {it if isinstance(it, type) else type(it) for it in requests}
        if unknown := asked.difference(*(it.handlers for it in scenario.saga.services.values())):
            raise ValueError(f"a client asks for {unknown.pop().__name__}, which nobody handles")
        self._asked = [
            not asked.isdisjoint(scenario.saga.services[it].handlers) for it in self.names
        ]
        self.known = cache(self._known)
        self._moves: list[dict[tuple[int, ...], Moves]] = [{} for _ in places]
        self._alone = all(member.replicas == 1 for member in self.members)

    def start(self) -> State:
        """Everything is up, nothing has happened."""
        queues: list[Queue] = [() for _ in self.names]
        for name, message in self.scenario.strays:
            held = Held(self.messages.number(message), STRAY)
            queues[self.names.index(name)] += (held,)
        crowd = self.crowds.number((Progress(),) * len(self.scenario.clients))
        return (
            *(member.start() for member in self.members),
            *(self.queues.number(queue) for queue in (*queues, ())),
            crowd,
            0,
        )

    def local(self, state: State, who: int) -> ServiceState:
        """The local state of a service."""
        return self.members[who].locals[state[who]]

    def queue(self, state: State, who: int) -> Queue:
        """What lies in a service's queue."""
        return self.queues.values[state[self.first + who]]

    def queue_after(self, who: int, how: Callable[..., Queue], *held: Held) -> Changed:
        """The change of a service's queue by one of the functions of `broker`."""
        return self.first + who, self.queues.change(how, *held)

    def crowd(self, state: State) -> Crowd:
        """How far the clients are."""
        return self.crowds.values[state[-2]]

    # ── moves ─────────────────────────────────────────────────────────────────────────────────
    def moves(self, state: State, budget: int) -> list[Move]:
        """Everything that may come next, if at most `budget` more faults may strike."""
        if forced := self._forced(state, budget) or self._begun(state, budget):
            return forced
        if "sinks last" not in self.reductions:
            return self._of_all(state, range(len(self.names)), budget)[0]
        phase = state[-1]
        moves, due = ([], False) if phase else self._of_all(state, self.core, budget)
        for number, who in enumerate(self.sinks, 1):
            if due:
                break
            if number >= phase:
                its, due = self._of(state, who, budget)
                moves += its
        return moves

    def quiet(self, state: State, budget: int = 0) -> int:
        """How much is quiet: 0 nothing, 1 all but the sinks, 2 the first of these too, …
        (The same whatever the budget: but `moves` of the same one is then known.)"""
        for who in self.core:
            if self._of(state, who, budget)[1]:
                return 0
        if "lost" in self.scenario.kinds and any(self._tallies(state, budget)):
            return 0
        for number, who in enumerate(self.sinks, 1):
            if self._of(state, who, budget)[1]:
                return number
        return self.all_quiet

    def _of_all(self, state: State, members: Iterable[int], budget: int) -> Moves:
        """The moves of these services."""
        found = [self._of(state, who, budget) for who in members]
        moves = [move for its, _ in found for move in its]
        due = any(it for _, it in found)
        if "lost" in self.scenario.kinds:
            moves += self._losses(state, budget)
            if not due:
                tallies = list(self._tallies(state, budget))
                moves, due = moves + tallies, any(map(is_due, tallies))
        return moves, due

    def _by_name(self, held: Held) -> tuple[str, ...]:
        it = self.messages.values[held.message]
        return it.headers.get("ce-subject", ""), it.key, it.headers.get("ce-id", "")

    def _forced(self, state: State, budget: int) -> list[Move]:
        if not self._alone or "restarts" not in self.reductions:
            return []
        for who, member in enumerate(self.members):
            if kind := member.down.get(state[who]):
                return self.known(state[who], who, (0, ((kind,),)), 0, budget > 0)
        return []

    def _begun(self, state: State, budget: int) -> list[Move]:
        """Whoever is in the middle of a transaction is only interrupted by its siblings: what other
        services do meanwhile, they may as well have done before."""
        if self._alone or self.scenario.disk.excludes:
            return []
        members = zip(self.members, state, strict=False)
        begun = (i for i, (member, number) in enumerate(members) if member.locals[number].begun)
        return [move for who in begun for move in self._of(state, who, budget)[0]]

    def _of(self, state: State, who: int, budget: int) -> Moves:
        """The moves of one service: what its queue holds, its clients want, and it by itself. They
        depend on nothing else, nor do they on more than two faults."""
        clients = state[-2] if self._asked[who] else 0
        key = state[who], state[self.first + who], clients, min(budget, 2)
        found = self._moves[who].get(key)
        if found is None:
            moves = list(self._find(state, who, budget))
            found = self._moves[who][key] = moves, any(map(is_due, moves))
        return found

    def _find(self, state: State, who: int, budget: int) -> Iterator[Move]:
        local = state[who]
        for what, cost in self._given(state, who):
            if cost <= budget:
                yield from self.known(local, who, what, cost, budget > cost)

    def _given(self, state: State, who: int) -> list[tuple[What, int]]:
        """What a service may be given next, with the number of faults."""
        member, it, reductions = self.members[who], self.scenario, self.reductions
        is_last = who in self.sinks and "sinks last" in reductions
        queue = self.queue(state, who)
        listens = bool(queue) and is_consuming(self.local(state, who), 0)
        if is_last and listens and member.name in it.unordered:
            batch = tuple(("deliver", held) for held in sorted(queue, key=self._by_name))
            return [((0, batch), 0)]
        replicas = range(member.replicas)
        given = [each for replica in replicas for each in steps(self, state, who, replica)]
        by_subject = member.name in it.by_subject and "by subject" in reductions
        if not (is_last and by_subject):
            return given
        # Only what is about the first saga that it has anything to do about.
        about = [(member.subject(each[0]), each) for each in given]
        first = min((subject for subject, (_, cost) in about if not cost), default="")
        return [each for subject, each in about if subject in (first, "")]

    def _known(self, local: int, who: int, what: What, cost: int, faulty: bool) -> list[Move]:
        """The moves that an input leads to: one without a fault; then, where more may strike, those
        with one. Each is found out when it is first asked for."""
        member = self.members[who]
        if not faulty:
            return [self._move(who, what, member.calm(local, what), cost)]
        moves = self.known(local, who, what, cost, False)
        struck = member.struck(local, what, moves[0].outcome)
        return [*moves, *(self._move(who, what, each, cost) for each in struck)]

    def _move(self, who: int, what: What, outcome: Outcome, cost: int) -> Move:
        replica, inputs = what
        taken = [it for kind, *it in inputs if kind in ("deliver", "overtake", "read")]
        given = [it for kind, *it in inputs if kind in DELIVERED]
        changes = [self.queue_after(who, broker.deliver, held) for [held] in taken]
        back = [held for helds in given for held in helds][outcome.acked :]
        changes += [broker.comes_back(self, who, held) for held in reversed(back)]
        for message in outcome.said:
            changes += broker.published(self, message, who, replica)
        if asked := tuple(about[2] for kind, *about in inputs if kind == "command"):
            changes.append((-2, self.crowds.change(answered, asked, outcome.replies)))
        free = inputs[0][0] in ("crash", "gone", "cut off") or outcome.fault in FREE
        return Move(who, what, outcome, cost + (not free), tuple(changes), optional=bool(asked))

    def _losses(self, state: State, budget: int) -> Iterator[Move]:
        """A queue is deleted with all that is in it, and made anew."""
        for who in self.core if budget else ():
            if self.queue(state, who):
                outcome = Outcome(("lost", "idle"), state[who])
                yield Move(who, LOST, outcome, 1, (self.queue_after(who, broker.delete),))

    def _tallies(self, state: State, budget: int) -> Iterator[Move]:
        """Those whose events are missed say how many there were, if not now then later."""
        for who in missed(self, state):
            moves = self.known(state[who], who, TALLY_DUE, 0, budget > 0)
            if moves[0].outcome.said or moves[0].outcome.local != state[who]:
                yield from moves

    # ── what a move does ──────────────────────────────────────────────────────────────────────
    def after(self, state: State, move: Move) -> State:
        """The state that a move leads to."""
        new = list(state)
        new[move.who] = move.outcome.local
        for where, change in move.changes:
            new[where] = change(new[where])
        if (phase := self._phases[move.who]) > new[-1]:
            new[-1] = phase
        return tuple(new)
