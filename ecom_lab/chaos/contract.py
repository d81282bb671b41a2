"""Release N+1 of the contract: one event has learned a field that release N does not know."""

from dataclasses import replace
from typing import Any

from msgspec.structs import asdict

from ecom import events
from ecom.contract.event import Event
from ecom.runtime.saga import Saga
from ecom.runtime.service import Service, Work


class OrderCreated(events.OrderCreated, frozen=True):
    """A customer's order was accepted; it may be a gift."""

    version = 2

    gift_note: str = "with love"


NEWER: dict[type, type[Event]] = {events.OrderCreated: OrderCreated}


def next_release(saga: Saga) -> Saga:
    """The saga, as release N+1 has it: its services publish and handle the newer event."""
    kinds = tuple(NEWER.get(kind, kind) for kind in saga.contract.events)
    services = {name: _upgraded(service) for name, service in saga.services.items()}
    return Saga(replace(saga.contract, events=kinds), services)


def _upgraded(service: Service) -> Service:
    handlers = service.handlers.items()
    newer = {NEWER.get(kind, kind): _publishing(handler) for kind, handler in handlers}
    return replace(service, handlers=newer)


def _publishing(handler: Any) -> Any:
    """The same handler, whose events are the newer ones."""

    def handle(message: Any, work: Work) -> Any:
        emit = work.emit

        def upgraded(event: Event) -> Any:
            newer = NEWER.get(type(event))
            return emit(newer(**asdict(event)) if newer else event)

        work.emit = upgraded
        return handler(message, work)

    return handle
