"""The shop's saga without a coordinator: each service answers the events of others.

Inventory is the arbiter between payment and the deadline; `order.cancelled` undoes everything.
"""

from functools import partial

from ecom import events
from ecom.contract.contract import EVERYTHING, Contract
from ecom.runtime.saga import Saga
from ecom.services import audit, inventory, notification, order, payment

HOLD_SECONDS = 900.0  # how long stock is held for payment


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
    listens = {
        service.name: tuple(event.key for event in events.EVENTS if event in service.handlers)
        for service in services
    }
    contract = Contract("shop", events.EVENTS, listens | {"audit": (EVERYTHING,)})
    return Saga(contract, {service.name: service for service in services})
