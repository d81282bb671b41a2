"""Many worlds, on all cores: what the `ecom explore` command and the notebooks run; and seeded
random walks through worlds too large to exhaust."""

import random
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache, partial
from multiprocessing import get_context
from typing import Any, NamedTuple

from ecom.runtime.runtime import log
from ecom_lab.simulator.checker import MAX_STATES, Explorer, Result
from ecom_lab.simulator.model import Model, Move
from ecom_lab.simulator.properties import Judge
from ecom_lab.simulator.scenario import Scenario
from ecom_lab.simulator.trace import Step, step_of

FAULT_CHANCE = 0.15  # of a step of a walk, while any are left
LONGEST = 2_000  # steps of a walk


class Job(NamedTuple):
    """A scenario to explore, and a name to know it by."""

    scenario: Scenario
    name: str = ""
    stop: bool = True
    enough: int = MAX_STATES


def explore(job: Job) -> Result:
    """Explore one world, without logging what fails on purpose."""
    return quietly(Explorer(Model(job.scenario), job.stop, job.enough).run)


def explore_all(work: Iterable[Job], workers: int = 1) -> Iterator[tuple[Job, Result]]:
    """Explore many worlds, each in one process; results as they come."""
    work = list(work)
    if workers == 1 or len(work) == 1:
        yield from ((job, explore(job)) for job in work)
        return
    with ProcessPoolExecutor(min(workers, len(work)), get_context("spawn")) as pool:
        tasks = {pool.submit(explore, job): job for job in work}
        yield from ((tasks[task], task.result()) for task in as_completed(tasks))


def together(results: Iterable[Result]) -> Result:
    """One result for many worlds."""
    whole = Result()
    for result in results:
        whole.states += result.states
        whole.transitions += result.transitions
        whole.quiet_states += result.quiet_states
        whole.steps += result.steps
        whole.exhaustive &= result.exhaustive
        whole.crash_points |= result.crash_points
        whole.violations += result.violations
    return whole


def quietly(act: Callable[[], Any]) -> Any:
    """What this returns, without a log of what fails on purpose."""
    before, log.disabled = log.disabled, True
    try:
        return act()
    finally:
        log.disabled = before


# ── walks ─────────────────────────────────────────────────────────────────────────────────────
class Walk(NamedTuple):
    """One walk: what was done, and the first promise it violated, if any."""

    seed: int
    steps: list[Step]
    promise: str = ""
    problem: str = ""


def walks(scenario: Scenario, seeds: Iterable[int], are_patient: bool = False) -> Iterator[Walk]:
    """Random walks through one world. The same seed takes the same way, whatever came before. Where
    all are patient, customers ask, and deadlines come, when there is nothing else to do: more often
    in one walk, less in another."""
    world = Model(scenario)
    about = world, Judge(world), cache(partial(step_of, world))
    yield from (quietly(partial(_walk, *about, seed, are_patient)) for seed in seeds)


def _walk(
    world: Model, judge: Judge, name: Callable[[Move], Step], seed: int, is_patient: bool
) -> Walk:
    """From the start until all is quiet, or until a promise is violated."""
    chance = random.Random(seed)
    patience = chance.random() if is_patient else 0.0
    state, left, steps = world.start(), world.scenario.faults, list[Step]()
    while len(steps) < LONGEST:
        for problem in judge.problems(state, world.quiet(state)):
            return Walk(seed, steps, problem.name, problem.text)
        moves = world.moves(state, left if chance.random() < FAULT_CHANCE else 0)
        if not moves:
            break
        if is_patient and chance.random() < patience:
            moves = [move for move in moves if not _can_wait(move)] or moves
        faulty = [move for move in moves if move.cost]
        move = chance.choice(sorted(faulty or moves, key=name))
        left -= move.cost
        steps.append(name(move))
        state = world.after(state, move)
    return Walk(seed, steps)


def _can_wait(move: Move) -> bool:
    return move.optional or move.what[1][0][0] == "timer"
