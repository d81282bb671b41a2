"""Release N+1 of the contract: one event has learned a field that release N does not know."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from msgspec.structs import asdict

from ecom import events
from ecom.contract.event import Event
from ecom.runtime.saga import Saga
from ecom.runtime.service import Service, Work
from ecom.sagas.choreography import choreography


class OrderCreated(events.OrderCreated, frozen=True):
    """A customer's order was accepted; it may be a gift."""

    version = 2

    gift_note: str = "with love"


def next_release(hold_seconds: float) -> Saga:
    """The shop's saga, as release N+1 has it."""
    saga = choreography(hold_seconds)
    kinds = tuple(_newer(kind) for kind in saga.contract.events)
    services = {name: _speaking(service) for name, service in saga.services.items()}
    return Saga(replace(saga.contract, events=kinds), services)


def _newer(kind: type) -> type:
    return OrderCreated if kind is events.OrderCreated else kind


def _speaking(service: Service) -> Service:
    """The same service, which publishes and handles the newer event."""
    handlers: Mapping[type, Any] = {
        _newer(kind): _publishing(handler) for kind, handler in service.handlers.items()
    }
    return replace(service, handlers=handlers)


def _publishing(handler: Any) -> Any:
    """The same handler, whose events are the newer ones."""

    def handle(message: Any, work: Work) -> Any:
        emit = work.emit
        work.emit = lambda event: emit(_upgraded(event))
        return handler(message, work)

    return handle


def _upgraded(event: Event) -> Event:
    kind = _newer(type(event))
    return event if kind is type(event) else kind(**asdict(event))
