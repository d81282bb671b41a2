"""Collects a shop's accounts from its databases, for the books to be judged."""

from pathlib import Path

import msgspec

from ecom.sagas.choreography import choreography
from ecom.shop.balance import (
    Accounts,
    Booking,
    Books,
    Order,
    Payment,
    Reservation,
    Stock,
    close_books,
)
from ecom.stores.reader import rows

_OUTCOMES = """
    SELECT order_id, CASE WHEN subject LIKE '%Confirmed' THEN 'CONFIRMED' ELSE 'CANCELLED' END
    FROM mails WHERE subject LIKE '%Confirmed' OR subject LIKE '%Cancelled'
"""
_TWICE = "SELECT order_id, type FROM events GROUP BY order_id, type HAVING count(*) > 1"


def books(folder: Path) -> Books:
    """The verdict on the books of the shop in `folder`, which should be quiet."""
    return close_books(read(folder))


def read(folder: Path) -> Accounts:
    """What all parts of the shop in `folder` say."""
    orders = rows(folder, "order", "SELECT order_id, state, total, reason FROM orders")
    stock = rows(folder, "inventory", "SELECT sku, initial, available, held, committed FROM stock")
    reservations = rows(folder, "inventory", "SELECT order_id, state, units FROM reservations")
    payments = rows(folder, "payment", "SELECT order_id, state, amount FROM payments")
    ledger = rows(folder, "gateway", "SELECT order_id, kind, outcome, amount FROM ledger")
    logged = rows(folder, "audit", "SELECT type, count(*) FROM events GROUP BY type")
    return Accounts(
        orders=[Order(*row) for row in orders],
        stock=[Stock(*row) for row in stock],
        reservations=[Reservation(id_, state, msgspec.json.decode(units))
                      for id_, state, units in reservations],
        payments=[Payment(*row) for row in payments],
        ledger=[Booking(*row) for row in ledger],
        told=rows(folder, "mailbox", _OUTCOMES),
        said=_emitted(folder),
        logged=dict(logged),
        twice=rows(folder, "audit", _TWICE),
    )  # fmt: skip


def _emitted(folder: Path) -> dict[str, int]:
    """Event type → how many the services have emitted, by their own counters."""
    query = "SELECT substr(name, 9), value FROM counters WHERE name LIKE 'emitted:%'"
    contract = choreography().contract
    said = dict.fromkeys(contract.by_key, 0)
    for service in contract.services:
        for key, value in rows(folder, service, query):
            said[key] += value
    return said
