"""What must hold of every state: properties, and what they see of it."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from ecom_lab.simulator.service_state import ServiceState

ALWAYS, SETTLED = 0, 1  # in every state; once nothing is under way but in the sinks


class View(NamedTuple):
    """A state as the properties see it."""

    services: Mapping[str, ServiceState]
    dead: int  # dead letters in the broker's queues
    strays: int  # messages that nobody here published
    crowd: tuple[Any, ...]  # how far each client is

    def rows(self, service: str, kind: type) -> dict[Any, Any]:
        """The rows of one table, by key."""
        return self.services[service].tables.get(kind, {})

    def ledger(self, service: str) -> tuple[Any, ...]:
        """What the world outside of a service has booked."""
        return self.services[service].ledger


class Property(NamedTuple):
    """One promise. `check` yields each way in which a state violates it.

    `when` is `ALWAYS`, `SETTLED`, or more by one for each sink (a service that publishes nothing,
    in the contract's order) that has to have done all it has to do, too.
    """

    name: str
    sentence: str
    when: int
    check: Callable[[View], Iterator[str]]


def promises(when: int, *checks: Callable[[View], Iterator[str]]) -> list[Property]:
    """Properties that are called as these functions are, and say what their docstrings say."""
    return [
        Property(check.__name__.replace("_", "-"), inspect.getdoc(check) or "", when, check)
        for check in checks
    ]


def nothing_vanishes(view: View) -> Iterator[str]:
    """What cannot be read is a dead letter."""
    if view.dead < view.strays:
        yield "a message that nobody could read is gone, and is no dead letter either"


QUIET_IS_REACHED = (
    "quiet-is-reached",
    "From every state, if nothing more goes wrong, the saga becomes quiet.",
)
Losses = Callable[[View, bool], Mapping[str, float]]  # what is not where it belongs, by unit


def nothing_lost(view: View, quiet: bool) -> Mapping[str, float]:
    """Of a saga in which nothing can be lost."""
    return {}
