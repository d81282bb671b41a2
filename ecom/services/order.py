"""Orders: accepted over HTTP, ended by the other services' events.

An order is CONFIRMED only by `inventory.committed`: confirming on `payment.processed` looks right,
and sells stock whose hold has just expired.
"""

import logging
from collections.abc import Callable
from typing import Any, Protocol

from msgspec import Struct

from ecom import events
from ecom.runtime.retention import RETENTION
from ecom.runtime.service import NOTHING, Lifecycle, Service, Work
from ecom.stores.base import Index, Row
from ecom.stores.query import AtMost

PENDING, CONFIRMED, CANCELLED = "PENDING", "CONFIRMED", "CANCELLED"
FIRST_ORDER = 1001
TIDY_EVERY = 100  # orders: then idempotency keys are forgotten that nobody will repeat any more

log = logging.getLogger("ecom.order")


class Order(Row, frozen=True):
    """An order as its customer sees it. `total` is in pence."""

    table = numbers = "orders"
    indexes = (Index(("number",)), Index(("state", "number")), Index(("customer", "number")))

    order_id: str
    customer: str
    card: str
    total: int
    state: str
    reason: str | None
    placed_at: float
    ended_at: float | None
    lines: tuple[events.Line, ...]
    number: int  # the order's id again: "9999" comes after "10000", 9999 does not
    saga: str = ""  # what makes it this order: a database that was restored may repeat a number


class Request(Row, frozen=True):
    """An idempotency key, what was requested under it, and the order that it created."""

    table = "requests"
    indexes = (Index(("at",)),)

    key: str
    order_id: str
    digest: str
    at: float


# ── Commands, from the HTTP API ───────────────────────────────────────────────────────────────
class PlaceOrder(Struct, frozen=True):
    """A customer orders. The same `key` with the same `digest` is the same order."""

    customer: str
    card: str
    lines: tuple[events.Line, ...]
    key: str | None = None
    digest: str = ""


class CancelOrder(events.AboutOrder, frozen=True):
    """A customer has changed their mind."""


class NoSuchOrder(Exception):
    """There is no order of this number."""


class KeyReused(Exception):
    """This idempotency key was used for another order."""


def place_order(command: PlaceOrder, work: Work) -> Order:
    """Accept an order; returns it (the earlier one, if the key is known)."""
    if command.key and (seen := work[Request].get(command.key)):
        if seen.digest != command.digest:
            raise KeyReused("this Idempotency-Key was used for a different order")
        return work[Order][seen.order_id]
    number = FIRST_ORDER - 1 + work.number(Order)
    order_id = str(number)
    total = sum(line.quantity * line.unit_price for line in command.lines)
    placed = order_id, command.customer, command.card, total
    order = Order(*placed, PENDING, None, work.now, None, command.lines, number, work.saga)
    work[Order].put(order)
    if command.key:
        work[Request].put(Request(command.key, order_id, command.digest, work.now))
    if number % TIDY_EVERY == 0:
        for old in work[Request].take(limit=2 * TIDY_EVERY, at=AtMost(work.now - RETENTION)):
            work[Request].delete(old.key)
    work.emit(events.OrderCreated(order_id, command.customer, command.card, total, command.lines))
    return order


def cancel_order(command: CancelOrder, work: Work) -> Order:
    """Cancel at the customer's wish, PENDING or CONFIRMED; an order cancelled before stays so."""
    orders = Orders(work)
    work.join(orders.find(command.order_id).saga)
    orders.cancel(command.order_id, events.CUSTOMER_CANCELLED)
    return work[Order][command.order_id]


# ── Events, from the other services ───────────────────────────────────────────────────────────
class OrderStatusUpdater(Protocol):
    """What the event handlers below may do to orders."""

    def confirm(self, order_id: str) -> None:
        """The order succeeded, unless it was cancelled meanwhile."""

    def cancel(self, order_id: str, reason: str) -> None:
        """The order failed, unless it was cancelled before."""


def on_inventory_committed(event: events.InventoryCommitted, orders: OrderStatusUpdater) -> None:
    orders.confirm(event.order_id)


def on_failure(event: events.Failure, orders: OrderStatusUpdater) -> None:
    orders.cancel(event.order_id, event.reason)


class Orders:
    """The orders of one unit of work: the `OrderStatusUpdater` behind the handlers."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def confirm(self, order_id: str) -> None:
        order = self.find(order_id)
        if order.state == PENDING:
            self._work[Order].change(order, state=CONFIRMED, ended_at=self._work.now)
            self._work.emit(events.OrderConfirmed(order_id, order.customer, order.total))

    def cancel(self, order_id: str, reason: str) -> None:
        order = self.find(order_id)
        if order.state != CANCELLED:
            self._work[Order].change(order, state=CANCELLED, reason=reason, ended_at=self._work.now)
            self._work.emit(events.OrderCancelled(order_id, order.customer, reason))
            log.info("Order %s cancelled due to: %s", order_id, reason)

    def find(self, order_id: str) -> Order:
        """This order. Raises `NoSuchOrder`."""
        order = self._work[Order].get(order_id)
        if order is None:
            raise NoSuchOrder(f"there is no order {order_id}")
        return order


def updating(handler: Callable[[Any, OrderStatusUpdater], None], event: Any, work: Work) -> None:
    """Give an event handler the orders of its unit of work."""
    handler(event, Orders(work))


TRANSITIONS = (
    (NOTHING, PlaceOrder, PENDING),
    (PENDING, events.InventoryCommitted, CONFIRMED),
    (PENDING, events.InventoryFailed, CANCELLED),
    (PENDING, events.PaymentFailed, CANCELLED),
    (PENDING, events.InventoryExpired, CANCELLED),
    (PENDING, CancelOrder, CANCELLED),
    (CONFIRMED, CancelOrder, CANCELLED),
)


def service() -> Service:
    """The order service, which handles its customers' commands."""
    return Service(
        name="order",
        rows=(Order, Request),
        transitions={Order: Lifecycle(CONFIRMED, TRANSITIONS)},
        handlers={PlaceOrder: place_order, CancelOrder: cancel_order},
    )
