"""Inventory: holds stock for an order, and is the arbiter between payment and the deadline.

A reservation that is CANCELLED is a tombstone: the cancellation overtook the order, and later
events of the order have no effect.
"""

import logging
from collections import Counter as Tally
from datetime import UTC, datetime

from msgspec.structs import replace

from ecom import events
from ecom.runtime.service import NOTHING, Lifecycle, Service, Work
from ecom.stores.base import Row

HELD, COMMITTED, EXPIRED = "HELD", "COMMITTED", "EXPIRED"
RELEASED, REJECTED, CANCELLED = "RELEASED", "REJECTED", "CANCELLED"

log = logging.getLogger("ecom.inventory")


class Stock(Row, frozen=True):
    """Units of one product: available + held + committed = initial, none ever below zero."""

    table = "stock"

    sku: str
    initial: int
    available: int
    held: int = 0
    committed: int = 0


class Reservation(Row, frozen=True):
    """What one order holds: units by sku."""

    table = "reservations"

    order_id: str
    state: str
    customer: str
    units: dict[str, int]
    held_until: float | None
    at: float
    saga: str = ""


class HoldDeadline(events.AboutOrder, frozen=True):
    """Timer: the hold of this order runs out now."""


def hold_stock(order: events.OrderCreated, work: Work, hold_seconds: float) -> None:
    """Hold every unit of the order, or none."""
    if work[Reservation].get(order.order_id) is not None:
        return  # a tombstone: the cancellation was here first
    units: Tally[str] = Tally()
    for line in order.lines:
        units[line.sku] += line.quantity
    if problem := _shortage(units, work):
        _reject(order, *problem, work)
        return
    _move(units, "available", "held", work)
    until = work.now + hold_seconds
    row = Reservation(order.order_id, HELD, order.customer, dict(units), until, work.now, work.saga)
    work[Reservation].put(row)
    work.set_timer(until, HoldDeadline(order.order_id))
    about = order.order_id, order.customer, order.card, order.total
    work.emit(events.InventoryProcessed(*about, datetime.fromtimestamp(until, UTC)))


def _shortage(units: dict[str, int], work: Work) -> tuple[str, str] | None:
    """The first reason and sku for which the order cannot be held."""
    for sku, wanted in units.items():
        stock = work[Stock].get(sku)
        if stock is None:
            return events.UNKNOWN_PRODUCT, sku
        if stock.available < wanted:
            return events.INSUFFICIENT_STOCK, sku
    return None


def _reject(order: events.OrderCreated, reason: str, sku: str, work: Work) -> None:
    log.info("Failed to reserve stock", extra={"reason": reason, "sku": sku})
    row = Reservation(order.order_id, REJECTED, order.customer, {}, None, work.now, work.saga)
    work[Reservation].put(row)
    work.emit(events.InventoryFailed(order.order_id, order.customer, reason, sku))


def commit_stock(payment: events.PaymentProcessed, work: Work) -> None:
    """Payment came first: the held stock belongs to the order. A payment that is too late has no
    effect here; the order's cancellation refunds the money."""
    reservation = work[Reservation][payment.order_id]  # retried, if it is not there yet
    if reservation.state == HELD:
        _move(reservation.units, "held", "committed", work)
        work[Reservation].change(reservation, state=COMMITTED, held_until=None)
        work.cancel_timer(HoldDeadline, payment.order_id)
        work.emit(events.InventoryCommitted(payment.order_id, payment.customer))


def expire_hold(deadline: HoldDeadline, work: Work) -> None:
    """The deadline came first: the held stock goes back on the shelf."""
    reservation = work[Reservation][deadline.order_id]
    if reservation.state == HELD:
        _move(reservation.units, "held", "available", work)
        work[Reservation].change(reservation, state=EXPIRED, held_until=None)
        work.emit(events.InventoryExpired(deadline.order_id, reservation.customer))


def release_stock(cancelled: events.OrderCancelled, work: Work) -> None:
    """Compensate: the order's stock, held or committed, goes back on the shelf."""
    order_id = cancelled.order_id
    reservation = work[Reservation].get(order_id)
    if reservation is None:
        tombstone = Reservation(
            order_id, CANCELLED, cancelled.customer, {}, None, work.now, work.saga
        )
        work[Reservation].put(tombstone)
    elif reservation.state in (HELD, COMMITTED):
        _move(reservation.units, reservation.state.lower(), "available", work)
        work[Reservation].change(reservation, state=RELEASED, held_until=None)
        work.cancel_timer(HoldDeadline, order_id)
        work.emit(events.InventoryReleased(order_id, cancelled.customer))


def _move(units: dict[str, int], source: str, target: str, work: Work) -> None:
    """Move units of each sku from one column of the stock to another."""
    for sku, quantity in units.items():
        stock = work[Stock][sku]
        left, moved = getattr(stock, source) - quantity, getattr(stock, target) + quantity
        work[Stock].put(replace(stock, **{source: left, target: moved}))


TRANSITIONS = (
    (NOTHING, events.OrderCreated, HELD),
    (HELD, events.PaymentProcessed, COMMITTED),
    (NOTHING, events.OrderCreated, REJECTED),
    (HELD, HoldDeadline, EXPIRED),
    (HELD, events.OrderCancelled, RELEASED),
    (COMMITTED, events.OrderCancelled, RELEASED),
    (NOTHING, events.OrderCancelled, CANCELLED),
)


def service() -> Service:
    """The inventory service, which handles its own deadlines."""
    return Service(
        name="inventory",
        rows=(Stock, Reservation),
        transitions={Reservation: Lifecycle(COMMITTED, TRANSITIONS)},
        handlers={HoldDeadline: expire_hold},
    )
