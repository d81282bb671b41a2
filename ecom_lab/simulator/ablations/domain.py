"""Services with one safeguard missing: the domain's ablations, each a changed handler."""

from collections import Counter as Tally
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

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
from ecom.runtime.service import Handler, Service, Work
from ecom.services import inventory, order, payment
from ecom.services.inventory import HoldDeadline, Reservation, Stock
from ecom.services.notification import MailSent, SendMail, Told
from ecom.services.order import Order
from ecom.services.payment import Captured, Payment

Change = Callable[[Service], Service]


def handling(kind: type, handler: Handler) -> Change:
    """The same service with another handler for this kind of message."""

    def change(service: Service) -> Service:
        handlers = {**service.handlers, kind: handler}
        return Service(service.name, service.rows, handlers, service.effects, service.retries)

    return change


def both(*changes: Change) -> Change:
    """One change after the other."""

    def change(service: Service) -> Service:
        for each in changes:
            service = each(service)
        return service

    return change


# ── order ─────────────────────────────────────────────────────────────────────────────────────
def confirm_on_payment(paid: PaymentProcessed, work: Work) -> None:
    """Money is captured: surely the order is confirmed?"""
    order.Orders(work).confirm(paid.order_id)


def expire_pending_only(expired: InventoryExpired, work: Work) -> None:
    """What is paid and confirmed cannot have expired, can it?"""
    if work[Order].get(expired.order_id).state == "PENDING":
        order.Orders(work).cancel(expired.order_id, expired.reason)


CONFIRM_ON_PAYMENT = both(
    handling(PaymentProcessed, confirm_on_payment),
    handling(InventoryExpired, expire_pending_only),
    handling(InventoryCommitted, lambda event, work: None),
)


def confirm_anyway(committed: InventoryCommitted, work: Work) -> None:
    """Without a look at what the order is meanwhile."""
    row = work[Order].get(committed.order_id)
    work[Order].put(replace(row, state="CONFIRMED", reason=None))
    work.emit(OrderConfirmed(row.order_id, row.customer, row.total))


def cancel_silently(expired: InventoryExpired, work: Work) -> None:
    """The order has timed out, and only the order service knows."""
    row = work[Order].get(expired.order_id)
    if row.state == "PENDING":
        work[Order].put(replace(row, state="CANCELLED", reason=expired.reason))


def cancel_pending_only(command: order.CancelOrder, work: Work) -> Order:
    """Marks a confirmed order as cancelled without telling those who would have to undo it."""
    row = work[Order].get(command.order_id)
    if row.state == "CONFIRMED":
        work[Order].put(replace(row, state="CANCELLED", reason="cancelled by customer"))
        return row
    return order.cancel_order(command, work)


# ── inventory ─────────────────────────────────────────────────────────────────────────────────
def hold_unchecked(created: OrderCreated, work: Work) -> None:
    """Takes units off the shelf without a look at how many there are."""
    if work[Reservation].get(created.order_id) is None:
        _hold(created, Tally({line.sku: line.quantity for line in created.lines}), work)


def _hold(created: OrderCreated, units: Tally, work: Work) -> None:
    id_, customer, until = created.order_id, created.customer, work.now + 900.0
    inventory._move(units, "available", "held", work)
    work[Reservation].put(Reservation(id_, "HELD", customer, dict(units), until, work.now))
    work.remind(until, HoldDeadline(id_))
    when = datetime.fromtimestamp(until, UTC)
    work.emit(InventoryProcessed(id_, customer, created.card, created.total, when))


def hold_line_by_line(created: OrderCreated, work: Work) -> None:
    """Holds what there is until a line cannot be had, and then rejects the order."""
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
    """Paid is paid, whatever has become of the hold."""
    row = work[Reservation].get(paid.order_id)
    inventory._move(row.units, "held", "committed", work)
    work[Reservation].put(replace(row, state="COMMITTED"))
    work.emit(InventoryCommitted(paid.order_id, paid.customer))


def commit_and_keep_deadline(paid: PaymentProcessed, work: Work) -> None:
    """Commits, and does not stop the clock."""
    row = work[Reservation].get(paid.order_id)
    if row.state == "HELD":
        inventory._move(row.units, "held", "committed", work)
        work[Reservation].put(replace(row, state="COMMITTED"))
        work.emit(InventoryCommitted(paid.order_id, paid.customer))


def expire_unchecked(deadline: HoldDeadline, work: Work) -> None:
    """The deadline has come, so the stock goes back."""
    row = work[Reservation].get(deadline.order_id)
    inventory._move(row.units, row.state.lower(), "available", work)
    work[Reservation].put(replace(row, state="EXPIRED"))
    work.emit(InventoryExpired(deadline.order_id, row.customer))


def expire_silently(deadline: HoldDeadline, work: Work) -> None:
    """Puts the stock back and tells nobody."""
    row = work[Reservation].get(deadline.order_id)
    if row.state == "HELD":
        inventory._move(row.units, "held", "available", work)
        work[Reservation].put(replace(row, state="EXPIRED"))


def release_unchecked(cancelled: OrderCancelled, work: Work) -> None:
    """Puts back what was held, whether or not it still is."""
    row = work[Reservation].get(cancelled.order_id)
    if row is None:
        inventory.release_stock(cancelled, work)
        return
    inventory._move(row.units, "held", "available", work)
    work[Reservation].put(replace(row, state="RELEASED"))
    work.emit(InventoryReleased(cancelled.order_id, cancelled.customer))


def release_out_of_nowhere(cancelled: OrderCancelled, work: Work) -> None:
    """Puts units on the shelf, and takes them from nowhere."""
    row = work[Reservation].get(cancelled.order_id)
    inventory.release_stock(cancelled, work)
    if row is not None and row.state == "HELD":
        for sku, quantity in row.units.items():
            stock = work[Stock].get(sku)
            work[Stock].put(replace(stock, held=stock.held + quantity))


def release_held_only(cancelled: OrderCancelled, work: Work) -> None:
    """Forgets that a confirmed order may be cancelled, too."""
    row = work[Reservation].get(cancelled.order_id)
    if row is None or row.state != "COMMITTED":
        inventory.release_stock(cancelled, work)


def release_known_only(cancelled: OrderCancelled, work: Work) -> None:
    """No reservation, nothing to do: no tombstone."""
    if work[Reservation].get(cancelled.order_id) is not None:
        inventory.release_stock(cancelled, work)


# ── payment ───────────────────────────────────────────────────────────────────────────────────
def undo_known_only(cancelled: OrderCancelled, work: Work) -> None:
    """No payment, nothing to do: no tombstone."""
    if work[Payment].get(cancelled.order_id) is not None:
        payment.undo_payment(cancelled, work)


def keep_late_money(captured: Captured, work: Work) -> None:
    """An answer to a payment that is no longer wanted is of no interest."""
    if work[Payment].get(captured.order_id).state == "PENDING":
        payment.money_captured(captured, work)


def undo_pending_only(cancelled: OrderCancelled, work: Work) -> None:
    """Money that is captured stays captured."""
    row = work[Payment].get(cancelled.order_id)
    if row is None or row.state == "PENDING":
        payment.undo_payment(cancelled, work)


# ── notification ──────────────────────────────────────────────────────────────────────────────
def tell_everything(event: Any, work: Work) -> None:
    """Every event is news, whatever was told before."""
    confirmed = isinstance(event, OrderConfirmed)
    told = work[Told].get(event.order_id) or Told(event.order_id, event.customer)
    what = "Confirmed" if confirmed else "Cancelled"
    key = f"{type(event).__name__}/{event.order_id}"
    mail = SendMail(event.order_id, event.customer, f"Order #{event.order_id} {what}", "")
    work[Told].put(replace(told, mails=(*told.mails, (key, mail))))
    if not told.mails:
        work.request(mail, key=key)


TELL_EVERYTHING = both(
    *(
        handling(kind, tell_everything)
        for kind in (OrderConfirmed, OrderCancelled, InventoryFailed, InventoryExpired)
    )
)


def send_in_any_order(service: Service) -> Service:
    """Hands each mail over at once: one that is tried again may arrive after a later one."""
    handlers = {
        kind: _at_once(handler) if kind is not MailSent else lambda sent, work: None
        for kind, handler in service.handlers.items()
    }
    return Service(service.name, service.rows, handlers, service.effects, service.retries)


def _at_once(handler: Handler) -> Handler:
    def tell(event: Any, work: Work) -> None:
        handler(event, work)
        told = work[Told].get(event.order_id)
        if told is not None:
            work[Told].put(replace(told, mails=()))

    return tell
