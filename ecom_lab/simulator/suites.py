"""Many worlds, on all cores: what the `ecom explore` command and the notebooks run."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Any, NamedTuple

from ecom.runtime.runtime import log
from ecom_lab.simulator.checker import MAX_STATES, Explorer, Result
from ecom_lab.simulator.model import Model
from ecom_lab.simulator.scenario import Scenario
from ecom_lab.simulator.walk import Walk, Walker


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
        # The big worlds first: they are the last to be done.
        tasks = {pool.submit(explore, job): job for job in sorted(work, key=_size, reverse=True)}
        yield from ((tasks[task], task.result()) for task in as_completed(tasks))


def walks(scenario: Scenario, seeds: Iterable[int], are_patient: bool = False) -> Iterator[Walk]:
    """Random walks through one world; see `Walker.walk`."""
    walker = Walker(Model(scenario))
    for seed in seeds:
        yield quietly(lambda seed=seed: walker.walk(seed, are_patient))


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


def _size(job: Job) -> tuple[int, int]:
    return job.scenario.faults, len({client.alike for client in job.scenario.clients})


def quietly(act: Callable[[], Any]) -> Any:
    """What this returns, without a log of what fails on purpose."""
    before, log.disabled = log.disabled, True
    try:
        return act()
    finally:
        log.disabled = before
