"""Runs one fault and judges it: strike, let all come to rest, count."""

import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from ecom.errors import NotSettled, ServiceDied
from ecom_lab.chaos.fault import Fault, Size
from ecom_lab.chaos.testbed import Testbed, testbed
from ecom_lab.chaos.verdict import HarnessFailed, Verdict

TRIES = 3
ENOUGH = 10  # strikes; fewer may all miss by chance
REST_SECONDS = 60.0  # from the last fault until all is quiet
ANSWER_SECONDS = 120.0  # after the faults, until the next customer has been answered

log = logging.getLogger("ecom.chaos")


def play(fault: Fault, size: Size, seed: int, tick: Callable[[], Any] = lambda: None) -> Verdict:
    """The verdict; `tick` is called after each strike.

    An experiment that did not work is repeated, which is logged; a violation never is. Raises
    `HarnessFailed` when it did not work `TRIES` times.
    """
    for _ in range(TRIES - 1):
        try:
            return attempt(fault, size, seed, tick)
        except HarnessFailed as error:
            log.warning("The experiment failed, not the shop; once more: %s", error)
    return attempt(fault, size, seed, tick)


def attempt(fault: Fault, size: Size, seed: int, tick: Callable[[], Any]) -> Verdict:
    """The same, once."""
    begun, kinds = time.monotonic(), Counter()
    with testbed(fault, size, seed) as it:
        try:
            for struck in fault.inject(it):
                kinds[struck] += 1
                tick()
            it.workload.finish(ANSWER_SECONDS)
            it.runner.settle(REST_SECONDS)
        except (NotSettled, ServiceDied) as error:
            it.problems.append(str(error))
        verdict = _judge(it, fault, seed, kinds, time.monotonic() - begun)
        it.problems += verdict.violations
    enough = verdict.injected >= ENOUGH
    if fault.bites and enough and not verdict.violations and not verdict.duplicate_deliveries:
        raise HarnessFailed(
            f"{fault.name}: {verdict.injected} faults, and none hit anything; try more --orders"
        )
    return verdict


def _judge(it: Testbed, fault: Fault, seed: int, kinds: Counter[str], seconds: float) -> Verdict:
    books, counts = fault.trial.judge(it.runner, it.workload)
    if it.problems:
        books = "off: " + "; ".join([*it.problems, books.removeprefix("off: ")])
    struck = {"kinds": dict(kinds), "seconds": round(seconds, 1)}
    return Verdict(fault.name, seed, kinds.total(), **counts, books=books, **struck)
