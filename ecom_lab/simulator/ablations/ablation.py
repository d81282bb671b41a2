"""An ablation: a safeguard that is taken away, and a world that shows why it is there."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from msgspec import Struct

from ecom.runtime.service import Handler, Service
from ecom_lab.simulator.durability import Disk
from ecom_lab.simulator.scenario import Scenario

Change = Callable[[Scenario], Scenario]


@dataclass(frozen=True)
class Ablation:
    """One safeguard taken away. `scenario` is the smallest world we know that shows it."""

    name: str
    story: str
    change: Change
    scenario: Scenario
    sample: str = ""  # the well-known mistake that this is

    @property
    def broken(self) -> Scenario:
        """That world, without the safeguard."""
        return self.change(self.scenario)


def ablation(
    name: str, what: Any, scenario: Scenario, story: str = "", sample: str = ""
) -> Ablation:
    """`what` is put in place: a runtime, a database, a service's handlers, or (a function) another
    scenario. The story is that of what is put in place, if no other is told."""
    change = what
    if isinstance(what, tuple):
        change = answering(*what)
        what = next(iter(what[1].values()))
    elif isinstance(what, type):
        change = having(**{"disk" if issubclass(what, Disk) else "runtime": what})
    return Ablation(name, story or inspect.getdoc(what) or "", change, scenario, sample)


def having(**changes: Any) -> Change:
    """The scenario with other values of these fields."""
    return lambda scenario: replace(scenario, **changes)


def answering(name: str, handlers: Mapping[type[Struct], Handler]) -> Change:
    """A service that answers these messages in another way, and listens to them as well."""
    return lambda scenario: replace(scenario, saga=scenario.saga.answering(name, handlers))


def serving(name: str, change: Callable[[Service], Service]) -> Change:
    """Another service of this name, made of the one that there is."""

    def changed(scenario: Scenario) -> Scenario:
        service = change(scenario.saga.services[name])
        return replace(scenario, saga=scenario.saga.replacing(service))

    return changed


def performing(name: str, outside: Any) -> Change:
    """Another world outside of a service."""
    return lambda scenario: replace(scenario, outside={**scenario.outside, name: outside})
