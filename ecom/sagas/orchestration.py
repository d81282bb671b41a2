"""The shop's saga with a coordinator, which tells each service what to do next, and awaits answers.

The services do what they do in the choreography, by the same functions: a command carries the
fields that those read, and their events are the answers. Where the choreography is silent, as
nobody waits there, a service answers here that there was nothing to undo.
"""

from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from msgspec import Meta

from ecom import events
from ecom.events import Card, Line, OrderEvent, Pence, Text
from ecom.runtime.saga import Saga
from ecom.runtime.service import Work
from ecom.runtime.tables import Effect
from ecom.sagas.choreography import HOLD_SECONDS, Messages, saga_of
from ecom.services import audit, coordinator, inventory, notification, order, payment
from ecom.services.coordinator import Step, Steps
from ecom.services.inventory import COMMITTED, HELD, Reservation
from ecom.services.payment import CANCELLED, CAPTURED, PENDING, Capture, Declined, Payment


# ── Commands ──────────────────────────────────────────────────────────────────────────────────
class Command(OrderEvent, frozen=True):
    """What the coordinator tells a service to do."""

    producer = "coordinator"


class HoldStock(Command, frozen=True):
    """To inventory: hold every unit of the order, or none."""

    key = "coordinator.hold-stock"
    card: Card
    total: Pence
    lines: Annotated[tuple[Line, ...], Meta(min_length=1, max_length=events.MAX_LINES)]


class CaptureMoney(Command, frozen=True):
    """To payment: take the money, as the stock is held."""

    key = "coordinator.capture-money"
    card: Card
    total: Pence


class CommitStock(Command, frozen=True):
    """To inventory: the held stock belongs to the order, as it is paid."""

    key = "coordinator.commit-stock"


class ConfirmOrder(Command, frozen=True):
    """To order: all is done."""

    key = "coordinator.confirm-order"


class RejectOrder(Command, frozen=True):
    """To order: a step has failed, so the order is cancelled."""

    key, failure = "coordinator.reject-order", True
    reason: Text


class RefundMoney(Command, frozen=True):
    """Compensation, to payment: give back what was captured, and capture nothing any more."""

    key, failure = "coordinator.refund-money", True


class ReleaseStock(Command, frozen=True):
    """Compensation, to inventory: what is held or committed goes back on the shelf."""

    key, failure = "coordinator.release-stock", True


class PaymentUndone(OrderEvent, frozen=True):
    """An answer of payment: no money was captured, so there is none to give back."""

    key, producer, failure = "payment.undone", "payment", True


class CaptureGivenUp(events.AboutOrder, frozen=True):
    """A capture was tried in vain for so long that a person has to look at it."""

    key: str = ""


# ── The saga ──────────────────────────────────────────────────────────────────────────────────
def steps(patience: float) -> Steps:
    """The saga as a table. Steps that were begun are undone in reverse; `patience` in seconds."""
    expired = events.InventoryExpired
    return Steps(
        (
            Step(
                "HOLDING", HoldStock, events.InventoryProcessed, (events.InventoryFailed, expired),
                "RELEASING", ReleaseStock, (events.InventoryReleased,),
            ),
            Step(
                "CAPTURING", CaptureMoney, events.PaymentProcessed, (events.PaymentFailed, expired),
                "REFUNDING", RefundMoney, (events.PaymentRefunded, PaymentUndone), patience,
            ),
            # The pivot: what comes after it cannot fail.
            Step("COMMITTING", CommitStock, events.InventoryCommitted, (expired,)),
            Step("CONFIRMING", ConfirmOrder, events.OrderConfirmed),
        ),
        RejectOrder,
    )  # fmt: skip


def orchestration(hold_seconds: float = HOLD_SECONDS) -> Saga:
    """The shop's saga: which service handles which command, and with which function."""
    table = steps(hold_seconds)
    messages: Messages = (*table.forth, table.reject, events.OrderCancelled, *table.back)
    services = (
        order.service().answering(
            {
                ConfirmOrder: partial(order.updating, order.on_inventory_committed),
                RejectOrder: partial(order.updating, order.on_failure),
            }
        ),
        inventory.service().answering(
            {
                HoldStock: partial(inventory.hold_stock, hold_seconds=hold_seconds),
                CommitStock: inventory.commit_stock,
                ReleaseStock: release_stock,
            }
        ),
        replace(payment.service(), given_up={Capture: CaptureGivenUp}).answering(
            {
                CaptureMoney: payment.capture_money,
                RefundMoney: undo_payment,
                Declined: capture_failed,
                CaptureGivenUp: capture_failed,
            }
        ),
        notification.service().answering(
            {
                events.OrderConfirmed: notification.tell_confirmed,
                events.OrderCancelled: notification.tell_cancelled,
                events.PaymentRefunded: notification.tell_refunded,
            }
        ),
        coordinator.service(table),
        audit.service().answering(dict.fromkeys(messages, audit.keep)),
    )
    return saga_of("orchestrated", messages, services)


# ── Answers where the choreography has none ───────────────────────────────────────────────────
def release_stock(command: Any, work: Work) -> None:
    """Release what is held or committed; if nothing is, or will be, say that it is released."""
    before = work[Reservation].get(command.order_id)
    inventory.release_stock(command, work)
    if before is None or before.state not in (HELD, COMMITTED):
        work.emit(events.InventoryReleased(command.order_id, command.customer))


def undo_payment(command: Any, work: Work) -> None:
    """Refund what was captured, or still will be; if nothing was, or will be, say so."""
    before = work[Payment].get(command.order_id)
    payment.undo_payment(command, work)
    given_up = any(it.state == "dead" for it in work[Effect].where(subject=command.order_id))
    if before is None or before.state not in (PENDING, CAPTURED) or given_up:
        work.emit(PaymentUndone(command.order_id, command.customer))


def capture_failed(failed: Declined | CaptureGivenUp, work: Work) -> None:
    """If the payment was to be undone meanwhile, there is nothing to undo. Should a person have a
    capture tried again that was given up, and it succeeds, the money is given back."""
    if isinstance(failed, Declined):
        payment.card_declined(failed, work)
    row = work[Payment][failed.order_id]
    if row.state == CANCELLED:
        work.emit(PaymentUndone(row.order_id, row.customer))
