"""Seeded random walks through worlds too large to exhaust."""

import random
from typing import NamedTuple

from ecom_lab.simulator.judge import Judge
from ecom_lab.simulator.model import Model, Move
from ecom_lab.simulator.trace import Step, step_of

FAULT_CHANCE = 0.15  # of a step, while any are left
LONGEST = 2_000  # steps


class Walk(NamedTuple):
    """One walk: what was done, and the first promise it violated, if any."""

    seed: int
    steps: list[Step]
    promise: str = ""
    problem: str = ""


class Walker:
    """Walks one world again and again; the same seed takes the same way, whatever came before."""

    def __init__(self, world: Model) -> None:
        self._world = world
        self._judge = Judge(world)
        self._names: dict[tuple, Step] = {}

    def walk(self, seed: int, is_patient: bool = False) -> Walk:
        """From the start until all is quiet, or until a promise is violated. Where all are patient,
        customers ask, and deadlines come, when there is nothing else to do: more often in one walk,
        less in another."""
        world, chance = self._world, random.Random(seed)
        patience = chance.random() if is_patient else 0.0
        state, left, steps = world.start(), world.scenario.faults, []
        while len(steps) < LONGEST:
            for problem in self._judge.problems(state, world.quiet(state)):
                return Walk(seed, steps, problem.name, problem.text)
            moves = world.moves(state, left if chance.random() < FAULT_CHANCE else 0)
            if not moves:
                break
            if is_patient and chance.random() < patience:
                moves = [move for move in moves if not _can_wait(move)] or moves
            move = self._choose(moves, chance)
            left -= move.cost
            steps.append(self._name(move))
            state = world.after(state, move)
        return Walk(seed, steps)

    def _choose(self, moves: list[Move], chance: random.Random) -> Move:
        faulty = [move for move in moves if move.cost]
        return chance.choice(sorted(faulty or moves, key=self._name))

    def _name(self, move: Move) -> Step:
        key = move.who, move.what, move.outcome.fault
        if key not in self._names:
            self._names[key] = step_of(self._world, move)
        return self._names[key]


def _can_wait(move: Move) -> bool:
    return move.optional or move.what[1][0][0] == "timer"
