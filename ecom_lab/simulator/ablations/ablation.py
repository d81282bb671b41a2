"""An ablation: a safeguard that is taken away, and a world that shows why it is there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from msgspec import Struct

from ecom.contract.event import Event
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


def having(**changes: Any) -> Change:
    """The scenario with other values of these fields."""
    return lambda scenario: replace(scenario, **changes)


def answering(name: str, handlers: Mapping[type[Struct], Handler]) -> Change:
    """A service that answers these messages in another way, and listens to them as well."""

    def change(scenario: Scenario) -> Scenario:
        saga = scenario.saga
        contract, service = saga.contract, saga.services[name].answering(handlers)
        new = [kind.key for kind in handlers if issubclass(kind, Event)]
        heard = contract.listens[name]
        listens = {**contract.listens, name: (*heard, *(key for key in new if key not in heard))}
        services = {**saga.services, name: service}
        if listens[name] != heard:  # another contract
            return replace(
                scenario,
                saga=replace(saga, contract=replace(contract, listens=listens), services=services),
            )
        return replace(scenario, saga=saga.replacing(service))

    return change


def performing(name: str, outside: Any) -> Change:
    """Another world outside of a service."""
    return lambda scenario: replace(scenario, outside={**scenario.outside, name: outside})
