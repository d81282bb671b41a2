"""Breadth-first through every state of a world, so that the first violation is the shortest.

A state that was reached before with at least as many faults still to come is not explored again:
whatever could follow has been seen to follow. So "every history with up to K faults" is exact.
"""

import sys
import time
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce

from ecom.runtime.tables import Letter
from ecom_lab.simulator.model import Model, Move, State, is_due
from ecom_lab.simulator.properties import QUIET_IS_REACHED, Judge, Problem
from ecom_lab.simulator.trace import Step, step_of

MAX_STATES = 3_000_000  # about 1 GB


@dataclass(frozen=True)
class Violation:
    """A promise violated: which, how, the shortest way there, and what was lost."""

    promise: str
    problem: str
    steps: tuple[Step, ...]
    lost: Mapping[str, float] = field(default_factory=dict)  # by unit, of the saga or its clients
    letters: tuple[str, ...] = ()  # what services have set aside by then, and why

    def __str__(self) -> str:
        """Step by step; what services have set aside; the promise; and what was lost."""
        named = (f"{number:g} {unit}" for unit, number in self.lost.items())
        lost = [f"lost: {', '.join(named)}"] if any(self.lost.values()) else []
        steps = [f"{number:3}  {step}" for number, step in enumerate(self.steps, 1)]
        return "\n".join([*steps, "", *self.letters, f"{self.promise}: {self.problem}", *lost])


@dataclass
class Result:
    """What an exploration found. `exhaustive` is false if it hit a bound: on states, or steps."""

    states: int = 0
    transitions: int = 0
    seconds: float = 0.0
    quiet_states: int = 0
    steps: int = 0  # of the real runtime; the transitions combine them
    exhaustive: bool = True
    crash_points: set[str] = field(default_factory=set)
    violations: list[Violation] = field(default_factory=list)

    @property
    def shortest(self) -> Violation | None:
        """The violation that takes the fewest steps; None if no promise was violated."""
        return min(self.violations, key=lambda it: len(it.steps), default=None)


class Explorer:
    """One exploration of one world. `stop` at the first violation, or find one of each kind."""

    def __init__(
        self,
        world: Model,
        stop: bool = True,
        max_states: int = MAX_STATES,
        max_steps: int = sys.maxsize,
    ) -> None:
        self.world, self._stop, self._max, self._longest = world, stop, max_states, max_steps
        self.judge = Judge(world)
        self.result = Result()
        self._nodes: list[State] = []  # the frontier's states; explored ones are dropped
        self._budgets = array("b")
        self._parents = array("l")
        self._moves: list[Move | None] = []
        self._seen: dict[State, int] = {}  # the node with the most faults left
        self._edges: tuple[array, array] = array("l"), array("l")  # what comes without a fault
        self._alive = bytearray()  # nodes from which something leads to quiet; first, those quiet

    def run(self) -> Result:
        """Explore it all (or up to the first violation)."""
        began = time.perf_counter()
        self._reach(self.world.start(), self.world.scenario.faults, -1, None)
        if self._search():
            self._find_doomed()
        result = self.result
        result.seconds = time.perf_counter() - began
        result.states = len(self._seen)
        result.steps = sum(member.steps for member in self.world.members)
        result.crash_points.update(*(member.crash_points for member in self.world.members))
        return result

    def _search(self) -> bool:
        """Whether it came to the end."""
        at, steps, farther = 0, -1, 0  # from where on it takes one step more
        while at < len(self._nodes):
            if at == farther:
                steps, farther = steps + 1, len(self._nodes)
            if len(self._seen) > self._max or steps > self._longest:
                self.result.exhaustive = False
                return False
            state, self._nodes[at] = self._nodes[at], ()
            if self._check(state, at):
                return False
            self._expand(state, at)
            at += 1
        return True

    def _expand(self, state: State, at: int) -> None:
        budget, after = self._budgets[at], self.world.after
        moves = self.world.moves(state, budget)
        self.result.transitions += len(moves)
        for move in moves:
            node = self._reach(after(state, move), budget - move.cost, at, move)
            if not move.cost and not move.optional:
                self._edges[0].append(at)
                self._edges[1].append(node)

    def _reach(self, state: State, budget: int, parent: int, move: Move | None) -> int:
        known = self._seen.get(state)
        if known is not None and self._budgets[known] >= budget:
            return known
        node = self._seen[state] = len(self._nodes)
        self._nodes.append(state)
        self._budgets.append(budget)
        self._parents.append(parent)
        self._moves.append(move)
        self._alive.append(0)
        if known is not None:  # the same state with more faults to come: what is quiet stays so
            self._edges[0].append(known)
            self._edges[1].append(node)
        return node

    def _check(self, state: State, at: int) -> bool:
        """Judge a state; whether to stop."""
        quiet = self.world.quiet(state, self._budgets[at])
        if quiet == self.world.all_quiet:
            self._alive[at] = 1
            self.result.quiet_states += 1
        problems = self.judge.problems(state, quiet)
        for problem in problems:
            if problem.name not in {it.promise for it in self.result.violations}:
                self._violated(problem, self.path(at), state)
        return bool(problems) and self._stop

    def _violated(self, problem: Problem, moves: Iterable[Move], state: State) -> None:
        steps = tuple(step_of(self.world, move) for move in moves)
        letters = tuple(_letters(self.world, state))
        it = Violation(problem.name, problem.text, steps, problem.lost, letters)
        self.result.violations.append(it)

    def path(self, node: int) -> Iterator[Move]:
        """The moves from the start to this node."""
        moves = []
        while self._moves[node] is not None:
            moves.append(self._moves[node])
            node = self._parents[node]
        return reversed(moves)

    def _find_doomed(self) -> None:
        """The first state from which nothing leads to quiet, with the circle it then walks in."""
        while _spread(self._alive, *self._edges):
            pass
        doomed = self._alive.find(0)
        if doomed >= 0:
            way, world = [*self.path(doomed)], self.world
            state, seen = reduce(world.after, way, world.start()), set[State]()
            while state not in seen and (due := [*filter(is_due, world.moves(state, 0))]):
                seen.add(state)
                way.append(due[0])
                state = world.after(state, due[0])
            problem = "and so on for ever: it never becomes quiet"
            self._violated(Problem(QUIET_IS_REACHED[0], problem, {}), way, state)


def _letters(world: Model, state: State) -> Iterator[str]:
    """Which messages were set aside, and why."""
    for who, name in enumerate(world.names):
        for it in world.local(state, who).tables.get(Letter, {}).values():
            yield f"{name} has set aside {it.type} of {world.noun} {it.subject}: {it.error}"


def _spread(alive: bytearray, sources: array, targets: array) -> bool:
    changed = False
    for i in range(len(sources) - 1, -1, -1):  # backwards: one pass nearly does
        if alive[targets[i]] and not alive[sources[i]]:
            alive[sources[i]] = changed = True
    return changed
