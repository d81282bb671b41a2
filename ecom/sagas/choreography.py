"""The shop's saga without a coordinator: each service answers the events of others.

Inventory is the arbiter between payment and the deadline; `order.cancelled` undoes everything.
"""

from functools import partial

from ecom.contract.contract import EVERYTHING, Contract
from ecom.events import (
    EVENTS,
    InventoryCommitted,
    InventoryExpired,
    InventoryFailed,
    InventoryProcessed,
    OrderCancelled,
    OrderConfirmed,
    OrderCreated,
    PaymentFailed,
    PaymentProcessed,
    PaymentRefunded,
)
from ecom.runtime.saga import Saga
from ecom.services import audit, inventory, notification, order, payment

HOLD_SECONDS = 900.0  # how long stock is held for payment


def choreography(hold_seconds: float = HOLD_SECONDS) -> Saga:
    """The shop's saga: which service handles which event, and with which function."""
    services = (
        order.service().answering(
            {
                InventoryCommitted: order.updating(order.on_inventory_committed),
                InventoryFailed: order.updating(order.on_failure),
                InventoryExpired: order.updating(order.on_failure),
                PaymentFailed: order.updating(order.on_failure),
            }
        ),
        inventory.service().answering(
            {
                OrderCreated: partial(inventory.hold_stock, hold_seconds=hold_seconds),
                PaymentProcessed: inventory.commit_stock,
                OrderCancelled: inventory.release_stock,
            }
        ),
        payment.service().answering(
            {
                InventoryProcessed: payment.capture_money,
                OrderCancelled: payment.undo_payment,
            }
        ),
        notification.service().answering(
            {
                OrderConfirmed: notification.tell_confirmed,
                InventoryFailed: notification.tell_cancelled,
                InventoryExpired: notification.tell_cancelled,
                PaymentFailed: notification.tell_cancelled,
                OrderCancelled: notification.tell_cancelled,
                PaymentRefunded: notification.tell_refunded,
            }
        ),
        audit.service().answering(dict.fromkeys(EVENTS, audit.keep)),
    )
    listens = {
        service.name: tuple(event.key for event in EVENTS if event in service.handlers)
        for service in services
    }
    contract = Contract("shop", EVENTS, listens | {"audit": (EVERYTHING,)})
    return Saga(contract, {service.name: service for service in services})
