"""What a fault is: where it is played, what it does, and how much of it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ecom.runtime.saga import Saga
from ecom.sagas.choreography import choreography
from ecom.sagas.orchestration import orchestration
from ecom_lab.chaos.environments import shared
from ecom_lab.chaos.testbed import Testbed
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
    not_here: str = ""  # why it cannot be played on this system, if it cannot
    bites: bool = True  # messages must have come twice, or it has struck nothing
    hold_seconds: float = 900.0
    customers: Callable[[int, int], list[Customer]] = customers  # by orders and seed
    stock: Callable[[int], dict[str, int]] = stock  # by orders
    replicas: int = 1  # of every service
    saga: Callable[[float], Saga] = choreography  # by how long a hold lasts

    def with_replicas(self, number: int) -> "Fault":
        """The same fault, another row of the scorecard: so many processes of every service."""
        return replace(self, name=f"{self.name}-x{number}", replicas=number)

    def with_coordinator(self) -> "Fault":
        """The same fault, another row of the scorecard: the shop has a coordinator."""
        return replace(self, name=f"{self.name}-orchestrated", saga=orchestration)


def salvo(*strikes: Strike, gap: tuple[float, float] = (0.0, 0.1)) -> Injection:
    """One of `strikes` a round, amid a burst of orders; then a wait of `gap` seconds."""

    def inject(bed: Testbed) -> Iterator[str]:
        for _ in range(bed.rounds):
            bed.burst()
            yield bed.random.choice(strikes)(bed)
            bed.wait(*gap)

    return inject
