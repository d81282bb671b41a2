"""What a fault is: where it is played, what it does, and how much of it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple

from ecom_lab.chaos.environments import shared
from ecom_lab.chaos.testbed import Stage
from ecom_lab.chaos.workload import Wish, shelves, wishes

Shot = Callable[[Stage], str]  # strikes once; says what it did
Ground = Callable[[], AbstractContextManager[tuple[str, Any]]]  # an AMQP URL, and a handle


class Size(NamedTuple):
    """How many orders, and how often the fault strikes among them."""

    orders: int
    rounds: int
    seconds: float = 0.0  # how long one strike lasts, where that is for us to say


@dataclass(frozen=True)
class Fault:
    """One row of the scorecard. `inject` yields after each strike what it was."""

    name: str
    what: str  # for the report, in a few words
    inject: Callable[[Stage], Iterator[str]]
    small: Size
    full: Size
    ground: Ground = shared
    bites: bool = True  # messages must have come twice, or it has struck nothing
    hold_seconds: float = 900.0
    wishes: Callable[[int, int], list[Wish]] = wishes  # orders, seed → customers
    shelves: Callable[[int], dict[str, int]] = shelves  # orders → stock


def salvo(*shots: Shot, gap: tuple[float, float] = (0.0, 0.1)) -> Callable[[Stage], Iterator[str]]:
    """Strike with one of `shots` a round, amid a burst of orders; then wait for `gap` seconds."""

    def inject(stage: Stage) -> Iterator[str]:
        for _ in range(stage.rounds):
            stage.burst()
            yield stage.random.choice(shots)(stage)
            stage.wait(*gap)

    return inject
