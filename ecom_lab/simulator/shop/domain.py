"""Services with one safeguard missing: the domain's ablations, each a changed handler."""

from functools import partial
from typing import Any

from msgspec import structs

from ecom import events
from ecom.runtime.service import Handler, Service, Work
from ecom.services import inventory, order, payment
from ecom.services.inventory import COMMITTED, HELD, HoldDeadline, Reservation, Stock
from ecom.services.notification import MailSent, SendMail, Told
from ecom.services.order import CANCELLED, CONFIRMED, PENDING, Order, Orders
from ecom.services.payment import Captured, Payment
from ecom_lab.shop import SAGA

_hold_stock = SAGA.services["inventory"].handlers[events.OrderCreated]


# ── order ─────────────────────────────────────────────────────────────────────────────────────
def confirm_on_payment(paid: events.PaymentProcessed, work: Work) -> None:
    """An order is confirmed when it is paid."""
    Orders(work).confirm(paid.order_id)


def expire_pending_only(expired: events.InventoryExpired, work: Work) -> None:
    """What is paid and confirmed cannot have expired, can it?"""
    if work[Order][expired.order_id].state == PENDING:
        Orders(work).cancel(expired.order_id, expired.reason)


def ignore(*_: Any) -> None:
    """Not of interest."""


CONFIRM_ON_PAYMENT = {
    events.PaymentProcessed: confirm_on_payment,
    events.InventoryExpired: expire_pending_only,
    events.InventoryCommitted: ignore,
}


def confirm_anyway(committed: events.InventoryCommitted, work: Work) -> None:
    """An order is confirmed whatever it is by then."""
    work[Order].put(structs.replace(work[Order][committed.order_id], state=PENDING))
    Orders(work).confirm(committed.order_id)


def cancel_silently(expired: events.InventoryExpired, work: Work) -> None:
    """The order times out, and nobody is told."""
    work.emit = ignore
    Orders(work).cancel(expired.order_id, expired.reason)


def cancel_pending_only(command: order.CancelOrder, work: Work) -> Order:
    """A confirmed order is cancelled in the order service alone."""
    row = work[Order][command.order_id]
    if row.state == CONFIRMED:
        work[Order].put(structs.replace(row, state=CANCELLED, reason=events.CUSTOMER_CANCELLED))
        return row
    return order.cancel_order(command, work)


# ── inventory ─────────────────────────────────────────────────────────────────────────────────
def hold_unchecked(created: events.OrderCreated, work: Work) -> None:
    """Stock is taken without a look at how much there is."""
    units = {line.sku: line.quantity for line in created.lines}
    inventory._move(units, "initial", "available", work)  # there seems to be enough
    _hold_stock(created, work)
    inventory._move(units, "available", "initial", work)


def hold_trusting(created: events.OrderCreated, work: Work) -> None:
    """Holds what is wanted, without a look whether it has done so before: the inbox knows."""
    work[Reservation].delete(created.order_id)
    _hold_stock(created, work)


def hold_line_by_line(created: events.OrderCreated, work: Work) -> None:
    """Lines are held one by one, and stay held when a later one fails."""
    is_known = work[Reservation].get(created.order_id) is not None
    _hold_stock(created, work)
    if is_known or work[Reservation][created.order_id].state != inventory.REJECTED:
        return
    for line in created.lines:
        if work[Stock][line.sku].available < line.quantity:
            return
        inventory._move({line.sku: line.quantity}, "available", "held", work)


def commit_unchecked(paid: events.PaymentProcessed, work: Work) -> None:
    """Stock is committed though the hold has expired."""
    _hold_again(paid.order_id, work)
    inventory.commit_stock(paid, work)


def _hold_again(order_id: str, work: Work) -> None:
    """In the row only: whoever looks at it takes the stock as held."""
    work[Reservation].put(structs.replace(work[Reservation][order_id], state=HELD))


def commit_and_keep_deadline(paid: events.PaymentProcessed, work: Work) -> None:
    """Commits, and does not stop the clock."""
    work.cancel_timer = ignore
    inventory.commit_stock(paid, work)


def expire_unchecked(deadline: HoldDeadline, work: Work) -> None:
    """The deadline is neither stopped nor does it look."""
    row = work[Reservation][deadline.order_id]
    inventory._move(row.units, row.state.lower(), "available", work)
    work[Reservation].put(structs.replace(row, state=inventory.EXPIRED))
    work.emit(events.InventoryExpired(deadline.order_id, row.customer))


BLIND_DEADLINE = {HoldDeadline: expire_unchecked, events.PaymentProcessed: commit_and_keep_deadline}


def expire_silently(deadline: HoldDeadline, work: Work) -> None:
    """Stock goes back on the shelf, and nobody is told."""
    work.emit = ignore
    inventory.expire_hold(deadline, work)


def release_unchecked(cancelled: events.OrderCancelled, work: Work) -> None:
    """Stock is released without a look at what has become of it."""
    if work[Reservation].get(cancelled.order_id) is not None:
        _hold_again(cancelled.order_id, work)
    inventory.release_stock(cancelled, work)


def release_out_of_nowhere(cancelled: events.OrderCancelled, work: Work) -> None:
    """Released units are put on the shelf, and stay held as well."""
    row = work[Reservation].get(cancelled.order_id)
    inventory.release_stock(cancelled, work)
    if row is not None and row.state == HELD:
        for sku, quantity in row.units.items():
            stock = work[Stock][sku]
            work[Stock].put(structs.replace(stock, held=stock.held + quantity))


def release_held_only(cancelled: events.OrderCancelled, work: Work) -> None:
    """Only held stock is released."""
    row = work[Reservation].get(cancelled.order_id)
    if row is None or row.state != COMMITTED:
        inventory.release_stock(cancelled, work)


def release_known_only(cancelled: events.OrderCancelled, work: Work) -> None:
    """A cancellation that overtakes its order leaves no trace."""
    if work[Reservation].get(cancelled.order_id) is not None:
        inventory.release_stock(cancelled, work)


# ── payment ───────────────────────────────────────────────────────────────────────────────────
def undo_known_only(cancelled: events.OrderCancelled, work: Work) -> None:
    """A cancellation that overtakes the payment leaves no trace."""
    if work[Payment].get(cancelled.order_id) is not None:
        payment.undo_payment(cancelled, work)


def keep_late_money(captured: Captured, work: Work) -> None:
    """Money that arrives after the cancellation is kept."""
    if work[Payment][captured.order_id].state == PENDING:
        payment.money_captured(captured, work)


def undo_pending_only(cancelled: events.OrderCancelled, work: Work) -> None:
    """Money is captured and never given back."""
    row = work[Payment].get(cancelled.order_id)
    if row is None or row.state == PENDING:
        payment.undo_payment(cancelled, work)


# ── notification ──────────────────────────────────────────────────────────────────────────────
def tell_everything(event: Any, work: Work) -> None:
    """Every event is mailed, whatever was told before."""
    confirmed = isinstance(event, events.OrderConfirmed)
    told = work[Told].get(event.order_id) or Told(event.order_id, event.customer)
    what = "Confirmed" if confirmed else "Cancelled"
    key = f"{type(event).__name__}/{event.order_id}"
    mail = SendMail(event.order_id, event.customer, f"Order #{event.order_id} {what}", "")
    work[Told].put(structs.replace(told, mails=(*told.mails, (key, mail))))
    if not told.mails:
        work.request(mail, key=key)


TELLING = (
    events.OrderConfirmed,
    events.OrderCancelled,
    events.InventoryFailed,
    events.InventoryExpired,
)


def send_in_any_order(service: Service) -> Service:
    """The mails of an order overtake each other."""
    handlers = {kind: partial(_at_once, handler) for kind, handler in service.handlers.items()}
    return service.answering({**handlers, MailSent: ignore})


def _at_once(handler: Handler, event: Any, work: Work) -> None:
    handler(event, work)
    told = work[Told].get(event.order_id)
    if told is not None:
        work[Told].put(structs.replace(told, mails=()))
