"""An ablation: a safeguard that is taken away, and a world that shows why it is there."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from msgspec import Struct

from ecom.runtime.service import Handler
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


def ablations(rows: Mapping[str, tuple[Change, Scenario]]) -> Iterator[Ablation]:
    """Ablations by name: the change, as it is `told`, and the world that shows it."""
    for name, (change, scenario) in rows.items():
        yield Ablation(name, inspect.getdoc(change) or "", change, scenario)


def told(story: Any, change: Change) -> Change:
    """The change with this story, or that of what it puts in place."""
    change.__doc__ = story if isinstance(story, str) else inspect.getdoc(story)
    return change


def having(**changes: Any) -> Change:
    """The scenario with other values of these fields."""
    return lambda scenario: replace(scenario, **changes)


def answering(name: str, handlers: Mapping[type[Struct], Handler]) -> Change:
    """A service that answers these messages in another way, and listens to them as well."""
    return lambda scenario: replace(scenario, saga=scenario.saga.answering(name, handlers))


def performing(name: str, outside: Any) -> Change:
    """Another world outside of a service."""
    return lambda scenario: replace(scenario, outside={**scenario.outside, name: outside})
