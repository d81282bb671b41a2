"""Services with one safeguard missing: the domain's ablations, each a changed handler."""

from collections import Counter as Tally
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from msgspec import structs

from ecom.events import (
    InventoryCommitted,
    InventoryExpired,
    InventoryFailed,
    InventoryProcessed,
    InventoryReleased,
    OrderCancelled,
    OrderConfirmed,
    OrderCreated,
    PaymentProcessed,
)
from ecom.runtime.service import Handler, Work
from ecom.services import inventory, order, payment
from ecom.services.inventory import HoldDeadline, Reservation, Stock
from ecom.services.notification import MailSent, SendMail, Told
from ecom.services.order import Order
from ecom.services.payment import Captured, Payment
from ecom_lab.simulator.scenario import Scenario


# ── order ─────────────────────────────────────────────────────────────────────────────────────
def confirm_on_payment(paid: PaymentProcessed, work: Work) -> None:
    """An order is confirmed when it is paid."""
    order.Orders(work).confirm(paid.order_id)


def expire_pending_only(expired: InventoryExpired, work: Work) -> None:
    """What is paid and confirmed cannot have expired, can it?"""
    if work[Order].get(expired.order_id).state == "PENDING":
        order.Orders(work).cancel(expired.order_id, expired.reason)


def ignore(event: Any, work: Work) -> None:
    """Not of interest."""


CONFIRM_ON_PAYMENT = {
    PaymentProcessed: confirm_on_payment,
    InventoryExpired: expire_pending_only,
    InventoryCommitted: ignore,
}


def confirm_anyway(committed: InventoryCommitted, work: Work) -> None:
    """An order is confirmed whatever it is by then."""
    row = work[Order].get(committed.order_id)
    work[Order].put(structs.replace(row, state="CONFIRMED", reason=None))
    work.emit(OrderConfirmed(row.order_id, row.customer, row.total))


def cancel_silently(expired: InventoryExpired, work: Work) -> None:
    """The order times out, and nobody is told."""
    row = work[Order].get(expired.order_id)
    if row.state == "PENDING":
        work[Order].put(structs.replace(row, state="CANCELLED", reason=expired.reason))


def cancel_pending_only(command: order.CancelOrder, work: Work) -> Order:
    """A confirmed order is cancelled in the order service alone."""
    row = work[Order].get(command.order_id)
    if row.state == "CONFIRMED":
        work[Order].put(structs.replace(row, state="CANCELLED", reason="cancelled by customer"))
        return row
    return order.cancel_order(command, work)


# ── inventory ─────────────────────────────────────────────────────────────────────────────────
def hold_unchecked(created: OrderCreated, work: Work) -> None:
    """Stock is taken without a look at how much there is."""
    if work[Reservation].get(created.order_id) is None:
        _hold(created, Tally({line.sku: line.quantity for line in created.lines}), work)


def hold_trusting(created: OrderCreated, work: Work) -> None:
    """Holds what is wanted, without a look whether it has done so before: the inbox knows."""
    units = Tally({line.sku: line.quantity for line in created.lines})
    if problem := inventory._shortage(units, work):
        inventory._reject(created, *problem, work)
    else:
        _hold(created, units, work)


def _hold(created: OrderCreated, units: Tally, work: Work) -> None:
    id_, customer, until = created.order_id, created.customer, work.now + 900.0
    inventory._move(units, "available", "held", work)
    work[Reservation].put(Reservation(id_, "HELD", customer, dict(units), until, work.now))
    work.set_timer(until, HoldDeadline(id_))
    when = datetime.fromtimestamp(until, UTC)
    work.emit(InventoryProcessed(id_, customer, created.card, created.total, when))


def hold_line_by_line(created: OrderCreated, work: Work) -> None:
    """Lines are held one by one, and stay held when a later one fails."""
    if work[Reservation].get(created.order_id) is not None:
        return
    for line in created.lines:
        if work[Stock].get(line.sku).available < line.quantity:
            inventory._reject(created, "insufficient stock", line.sku, work)
            return
        inventory._move({line.sku: line.quantity}, "available", "held", work)
    units = {line.sku: line.quantity for line in created.lines}
    inventory._move(units, "held", "available", work)
    _hold(created, Tally(units), work)


def commit_unchecked(paid: PaymentProcessed, work: Work) -> None:
    """Stock is committed though the hold has expired."""
    row = work[Reservation].get(paid.order_id)
    inventory._move(row.units, "held", "committed", work)
    work[Reservation].put(structs.replace(row, state="COMMITTED"))
    work.emit(InventoryCommitted(paid.order_id, paid.customer))


def commit_and_keep_deadline(paid: PaymentProcessed, work: Work) -> None:
    """Commits, and does not stop the clock."""
    row = work[Reservation].get(paid.order_id)
    if row.state == "HELD":
        inventory._move(row.units, "held", "committed", work)
        work[Reservation].put(structs.replace(row, state="COMMITTED"))
        work.emit(InventoryCommitted(paid.order_id, paid.customer))


def expire_unchecked(deadline: HoldDeadline, work: Work) -> None:
    """The deadline is neither stopped nor does it look."""
    row = work[Reservation].get(deadline.order_id)
    inventory._move(row.units, row.state.lower(), "available", work)
    work[Reservation].put(structs.replace(row, state="EXPIRED"))
    work.emit(InventoryExpired(deadline.order_id, row.customer))


BLIND_DEADLINE = {
    HoldDeadline: expire_unchecked,
    PaymentProcessed: commit_and_keep_deadline,
}


def expire_silently(deadline: HoldDeadline, work: Work) -> None:
    """Stock goes back on the shelf, and nobody is told."""
    row = work[Reservation].get(deadline.order_id)
    if row.state == "HELD":
        inventory._move(row.units, "held", "available", work)
        work[Reservation].put(structs.replace(row, state="EXPIRED"))


def release_unchecked(cancelled: OrderCancelled, work: Work) -> None:
    """Stock is released without a look at what has become of it."""
    row = work[Reservation].get(cancelled.order_id)
    if row is None:
        inventory.release_stock(cancelled, work)
        return
    inventory._move(row.units, "held", "available", work)
    work[Reservation].put(structs.replace(row, state="RELEASED"))
    work.emit(InventoryReleased(cancelled.order_id, cancelled.customer))


def release_out_of_nowhere(cancelled: OrderCancelled, work: Work) -> None:
    """Released units are put on the shelf, and stay held as well."""
    row = work[Reservation].get(cancelled.order_id)
    inventory.release_stock(cancelled, work)
    if row is not None and row.state == "HELD":
        for sku, quantity in row.units.items():
            stock = work[Stock].get(sku)
            work[Stock].put(structs.replace(stock, held=stock.held + quantity))


def release_held_only(cancelled: OrderCancelled, work: Work) -> None:
    """Only held stock is released."""
    row = work[Reservation].get(cancelled.order_id)
    if row is None or row.state != "COMMITTED":
        inventory.release_stock(cancelled, work)


def release_known_only(cancelled: OrderCancelled, work: Work) -> None:
    """A cancellation that overtakes its order leaves no trace."""
    if work[Reservation].get(cancelled.order_id) is not None:
        inventory.release_stock(cancelled, work)


# ── payment ───────────────────────────────────────────────────────────────────────────────────
def undo_known_only(cancelled: OrderCancelled, work: Work) -> None:
    """A cancellation that overtakes the payment leaves no trace."""
    if work[Payment].get(cancelled.order_id) is not None:
        payment.undo_payment(cancelled, work)


def keep_late_money(captured: Captured, work: Work) -> None:
    """Money that arrives after the cancellation is kept."""
    if work[Payment].get(captured.order_id).state == "PENDING":
        payment.money_captured(captured, work)


def undo_pending_only(cancelled: OrderCancelled, work: Work) -> None:
    """Money is captured and never given back."""
    row = work[Payment].get(cancelled.order_id)
    if row is None or row.state == "PENDING":
        payment.undo_payment(cancelled, work)


# ── notification ──────────────────────────────────────────────────────────────────────────────
def tell_everything(event: Any, work: Work) -> None:
    """Every event is mailed, whatever was told before."""
    confirmed = isinstance(event, OrderConfirmed)
    told = work[Told].get(event.order_id) or Told(event.order_id, event.customer)
    what = "Confirmed" if confirmed else "Cancelled"
    key = f"{type(event).__name__}/{event.order_id}"
    mail = SendMail(event.order_id, event.customer, f"Order #{event.order_id} {what}", "")
    work[Told].put(structs.replace(told, mails=(*told.mails, (key, mail))))
    if not told.mails:
        work.request(mail, key=key)


TELLING = (OrderConfirmed, OrderCancelled, InventoryFailed, InventoryExpired)


def send_in_any_order(scenario: Scenario) -> Scenario:
    """The mails of an order overtake each other."""
    service = scenario.saga.services["notification"]
    handlers = {kind: partial(_at_once, handler) for kind, handler in service.handlers.items()}
    handlers[MailSent] = ignore
    return replace(scenario, saga=scenario.saga.replacing(service.answering(handlers)))


def _at_once(handler: Handler, event: Any, work: Work) -> None:
    handler(event, work)
    told = work[Told].get(event.order_id)
    if told is not None:
        work[Told].put(structs.replace(told, mails=()))
