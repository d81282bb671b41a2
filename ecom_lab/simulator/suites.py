"""Many worlds, on all cores: what the `ecom explore` command and the notebooks run."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from multiprocessing import get_context
from typing import Any, NamedTuple

from ecom.runtime.runtime import log
from ecom_lab.simulator.ablations.catalogue import BY_NAME
from ecom_lab.simulator.checker import MAX_STATES, Explorer, Result
from ecom_lab.simulator.model import World
from ecom_lab.simulator.scenario import Scenario, race
from ecom_lab.simulator.walk import Walk, Walker

POINTS = (
    "commit", "ack", "reply", "publish", "confirm", "mark sent", "gateway call", "mail", "timer",
)  # fmt: skip
CRASH_POINTS = frozenset(f"{when} {point}" for point in POINTS for when in ("before", "after"))


class Job(NamedTuple):
    """A world to explore: the real design, or without one safeguard."""

    scenario: Scenario
    without: str = ""
    stop: bool = True
    enough: int = MAX_STATES

    def world(self) -> World:
        """The world itself. Raises `KeyError` if no ablation has this name."""
        if not self.without:
            return World(self.scenario)
        return BY_NAME[self.without].world(self.scenario)


def jobs(orders: int, faults: int) -> list[Job]:
    """The real shop: `orders` customers race for the last unit, with good and with bad cards.

    One alone may cancel, too; then also with two processes of each service, and with something
    in a queue that is no event.
    """
    worlds = [race(orders, faults, declined) for declined in range(orders + 1)]
    if orders == 1:
        twice = [{name: 2} for name in ("order", "inventory", "payment", "notification")]
        worlds += [replace(worlds[0], replicas=each, faults=min(faults, 1)) for each in twice]
        worlds.append(replace(worlds[0], stray=True, faults=min(faults, 1)))
    return [Job(world) for world in worlds]


def explore(job: Job) -> Result:
    """Explore one world."""
    return run(Explorer(job.world(), job.stop, job.enough))


def run(explorer: Explorer) -> Result:
    """Let it explore, without logging what fails on purpose."""
    return _quietly(explorer.run)


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


def walks(scenario: Scenario, seeds: Iterable[int], without: str = "") -> Iterator[Walk]:
    """Random walks through one world."""
    walker = Walker(Job(scenario, without).world())
    for seed in seeds:
        yield _quietly(lambda seed=seed: walker.walk(seed))


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
    return job.scenario.faults, len({wish.card for wish in job.scenario.wishes})


def _quietly(act: Callable) -> Any:
    before, log.disabled = log.disabled, True
    try:
        return act()
    finally:
        log.disabled = before
