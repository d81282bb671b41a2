"""The shop's saga without a coordinator: each service answers the events of others."""

from collections.abc import Iterable
from functools import partial

from ecom import events
from ecom.contract.contract import EVERYTHING, Contract, Event
from ecom.runtime.saga import Saga
from ecom.runtime.service import Service
from ecom.services import audit, inventory, notification, order, payment

HOLD_SECONDS = 900.0  # how long stock is held for payment
Messages = tuple[type[Event], ...]  # each after all that it can follow from


def choreography(hold_seconds: float = HOLD_SECONDS) -> Saga:
    """The shop's saga: which service handles which event, and with which function."""
    services = (
        order.service().answering(
            {
                events.InventoryCommitted: partial(order.updating, order.on_inventory_committed),
                events.InventoryFailed: partial(order.updating, order.on_failure),
                events.InventoryExpired: partial(order.updating, order.on_failure),
                events.PaymentFailed: partial(order.updating, order.on_failure),
            }
        ),
        inventory.service().answering(
            {
                events.OrderCreated: partial(inventory.hold_stock, hold_seconds=hold_seconds),
                events.PaymentProcessed: inventory.commit_stock,
                events.OrderCancelled: inventory.release_stock,
            }
        ),
        payment.service().answering(
            {
                events.InventoryProcessed: payment.capture_money,
                events.OrderCancelled: payment.undo_payment,
            }
        ),
        notification.service().answering(
            {
                events.OrderConfirmed: notification.tell_confirmed,
                events.InventoryFailed: notification.tell_cancelled,
                events.InventoryExpired: notification.tell_cancelled,
                events.PaymentFailed: notification.tell_cancelled,
                events.OrderCancelled: notification.tell_cancelled,
                events.PaymentRefunded: notification.tell_refunded,
            }
        ),
        audit.service().answering(dict.fromkeys(events.EVENTS, audit.keep)),
    )
    return saga_of("shop", events.EVENTS, services)


def saga_of(name: str, messages: Messages, services: Iterable[Service]) -> Saga:
    """The saga of these services, each of which listens to what it handles, and audit to all."""
    by_name = {service.name: service for service in services}
    listens = {
        name: tuple(kind.key for kind in messages if kind in service.handlers)
        for name, service in by_name.items()
    }
    return Saga(Contract(name, messages, listens | {"audit": (EVERYTHING,)}), by_name)
