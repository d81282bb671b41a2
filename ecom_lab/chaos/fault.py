"""What a fault is: where it is played, what it does, and how much of it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from ecom.runtime.saga import Saga
from ecom.sagas.choreography import choreography
from ecom.sagas.orchestration import orchestration
from ecom_lab.chaos.environments import shared
from ecom_lab.chaos.testbed import Testbed
from ecom_lab.chaos.trial import SHOP, Trial
from ecom_lab.chaos.workload import Customer, customers, stock

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
    trial: Trial = SHOP
    fixed: str = ""  # why it is played in one setup only, if so

    @property
    def not_here(self) -> str:
        """Why it cannot be played, if it cannot."""
        places = ("here", self.database, *(() if self.trial is SHOP else ("own",)))
        reasons = (self.not_on[place] for place in places if place in self.not_on)
        return next(filter(None, (it() if callable(it) else it for it in reasons)), "")

    def with_replicas(self, number: int) -> "Fault":
        """The same fault, another row of the scorecard: so many processes of every service."""
        return self._other(f"-x{number}", replicas=number)

    def with_coordinator(self) -> "Fault":
        """The same fault, another row of the scorecard: the shop has a coordinator."""
        return self._other("-orchestrated", saga=orchestration)

    def with_postgres(self) -> "Fault":
        """The same fault, another row of the scorecard: services' rows are in a PostgreSQL."""
        return self._other("-postgres", database="postgres")

    def on(self, trial: Trial) -> "Fault":
        """The same fault, another row of the scorecard: of another saga than the shop's."""
        return self._other(trial.suffix, trial=trial)

    def _other(self, suffix: str, **what: Any) -> "Fault":
        refused = {"here": self.fixed} if self.fixed else {}
        return replace(self, name=self.name + suffix, not_on={**self.not_on, **refused}, **what)


def salvo(*strikes: Strike, gap: tuple[float, float] = (0.0, 0.1)) -> Injection:
    """One of `strikes` a round, amid a burst of orders; then a wait of `gap` seconds."""

    def inject(bed: Testbed) -> Iterator[str]:
        for _ in range(bed.rounds):
            bed.burst()
            yield bed.random.choice(strikes)(bed)
            bed.wait(*gap)

    return inject
