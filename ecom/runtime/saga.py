"""A saga as a value: a contract, and the services that fulfil it.

Topology, permissions, processes, simulator, history and pictures are functions of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from msgspec import Struct

from ecom.contract.contract import Contract
from ecom.runtime.service import Handler, Service


@dataclass(frozen=True, eq=False)
class Saga:
    """A contract and its services, by name. Raises `ValueError` where they do not fit together."""

    contract: Contract
    services: Mapping[str, Service]

    def __post_init__(self) -> None:
        if self.services.keys() != set(self.contract.services):
            raise ValueError("the services are not those of the contract")
        for name, service in self.services.items():
            heard = self.contract.consumed_by(name)
            for key, event in self.contract.by_key.items():
                if key in heard and event not in service.handlers:
                    raise ValueError(f"{name} listens to {key} and does not handle it")
                if event in service.handlers and key not in heard:
                    raise ValueError(f"{name} handles {key} and does not listen to it")

    def replacing(self, service: Service) -> "Saga":
        """The same saga with another service of this name."""
        return Saga(self.contract, {**self.services, service.name: service})

    def answering(self, name: str, handlers: Mapping[type[Struct], Handler]) -> "Saga":
        """The same saga in which this service handles these messages so, and listens to them."""
        known = self.contract.consumed_by(name)
        new = tuple(it.key for it in self.contract.events if it in handlers and it.key not in known)
        listens = {**self.contract.listens, name: (*self.contract.listens[name], *new)}
        contract = replace(self.contract, listens=listens) if new else self.contract
        services = {**self.services, name: self.services[name].answering(handlers)}
        return Saga(contract, services)
