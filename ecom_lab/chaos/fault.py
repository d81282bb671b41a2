"""What a fault is: where it is played, what it does, and how much of it; and to play one."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from ecom.errors import NotSettled, ServiceDied, ShopError
from ecom.runtime.saga import Saga
from ecom.sagas.choreography import choreography
from ecom.sagas.orchestration import orchestration
from ecom_lab.chaos.environments import shared
from ecom_lab.chaos.testbed import Testbed, testbed
from ecom_lab.chaos.trial import SHOP, Own, ShopTrial
from ecom_lab.chaos.verdict import HarnessFailed, Verdict
from ecom_lab.chaos.workload import Customer, customers, stock

TRIES = 3
ENOUGH = 10  # strikes; fewer may all miss by chance
REST_SECONDS = 60.0  # from the last fault until all is quiet
ANSWER_SECONDS = 120.0  # after the faults, until the next customer has been answered

log = logging.getLogger("ecom.chaos")

Strike = Callable[[Testbed], str]  # says what it did
Injection = Callable[[Testbed], Iterator[str]]  # yields after each strike what it was
Environment = Callable[[], AbstractContextManager[tuple[str, Any]]]  # an AMQP URL, and a handle


class Size(NamedTuple):
    """How many orders, and how often the fault strikes among them."""

    orders: int
    rounds: int
    seconds: float = 0.0  # how long one strike lasts, where that is for us to say


@dataclass(frozen=True)
class Fault:
    """One row of the scorecard."""

    name: str
    what: str  # for the report, in a few words
    inject: Injection
    small: Size
    full: Size
    environment: Environment = shared
    # Why it cannot be played, if it cannot, "here", on this system; with rows in "files" or in
    # "postgres"; on a saga of one's "own"; or what finds that out.
    not_on: Mapping[str, str | Callable[[], str]] = field(default_factory=dict)
    bites: bool = True  # messages must have come twice, or it has struck nothing
    hold_seconds: float = 900.0
    customers: Callable[[int, int], list[Customer]] = customers  # by orders and seed
    stock: Callable[[int], dict[str, int]] = stock  # by orders
    replicas: int = 1  # of every service
    saga: Callable[[float], Saga] = choreography  # by how long a hold lasts
    database: str = "files"  # or "postgres"
    trial: ShopTrial | Own = SHOP
    fixed: str = ""  # why it is played in one setup only, if so

    @property
    def not_here(self) -> str:
        """Why it cannot be played, if it cannot."""
        places = ("here", self.database, *(() if self.trial is SHOP else ("own",)))
        reasons = (self.not_on[place] for place in places if place in self.not_on)
        return next(filter(None, (it() if callable(it) else it for it in reasons)), "")

    def on(
        self,
        trial: ShopTrial | Own = SHOP,
        replicas: int = 1,
        saga: Callable[[float], Saga] = choreography,
        database: str = "files",
    ) -> "Fault":
        """The same fault, another row of the scorecard: on another saga than the shop's, on so many
        processes of every service, with a coordinator, with rows in a "postgres"."""
        said = {
            f"-x{replicas}": replicas > 1,
            "-orchestrated": saga is orchestration,
            "-postgres": database == "postgres",
            trial.suffix: True,
        }
        if not (suffix := "".join(word for word, is_so in said.items() if is_so)):
            return self
        setup = {"trial": trial, "replicas": replicas, "saga": saga, "database": database}
        refused = {"here": self.fixed} if self.fixed else {}
        return replace(self, name=self.name + suffix, not_on={**self.not_on, **refused}, **setup)


def salvo(
    *strikes: Strike, gap: tuple[float, float] = (0.0, 0.1), in_turn: bool = False
) -> Injection:
    """One of `strikes` a round, by chance or `in_turn`, amid a burst of orders; then a wait of
    `gap` seconds."""

    def inject(bed: Testbed) -> Iterator[str]:
        for turn in range(bed.rounds):
            bed.burst()
            strike = strikes[turn % len(strikes)] if in_turn else bed.random.choice(strikes)
            yield strike(bed)
            bed.wait(*gap)

    return inject


def play(fault: Fault, size: Size, seed: int, tick: Callable[[], Any] = lambda: None) -> Verdict:
    """Strike, let all come to rest, count: the verdict. `tick` is called after each strike.

    An experiment that did not work is repeated, which is logged; a violation never is. Raises
    `HarnessFailed` when it did not work `TRIES` times, `ShopError` for what cannot be played.
    """
    if why := fault.not_here:
        raise ShopError(f"{fault.name} is not played: {why}.")
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
