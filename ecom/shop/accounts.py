"""Reads a shop's accounts from its databases, so that the books can be checked."""

from pathlib import Path

import msgspec

from ecom.contract.contract import Contract
from ecom.sagas.choreography import choreography
from ecom.sandbox.gateway import Movement
from ecom.sandbox.mailbox import Mail
from ecom.services import inventory, order, payment
from ecom.services.audit import Entry
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
from ecom.stores.reader import Reader


def books(folder: Path) -> Books:
    """The verdict on the books of the shop in `folder`, which should be settled."""
    return close_books(read(folder))


def read(folder: Path) -> Accounts:
    """What all parts of the shop in `folder` hold."""
    with Reader(folder) as reader:
        orders = reader["order"].values(order.Order, *Order._fields)
        stock = reader["inventory"].values(inventory.Stock, *Stock._fields)
        held = reader["inventory"].values(inventory.Reservation, *Reservation._fields)
        payments = reader["payment"].values(payment.Payment, *Payment._fields)
        ledger = reader["gateway"].values(Movement, *Booking._fields)
        mails = reader["mailbox"].values(Mail, "order_id", "subject")
        return Accounts(
            orders=[Order(*row) for row in orders],
            stock=[Stock(*row) for row in stock],
            reservations=[
                Reservation(order_id, state, msgspec.json.decode(units))
                for order_id, state, units in held
            ],
            payments=[Payment(*row) for row in payments],
            ledger=[Booking(*row) for row in ledger],
            told=[(order_id, told) for order_id, mail in mails if (told := _outcome(mail))],
            said=_emitted(reader, choreography().contract),
            logged=reader["audit"].tally(Entry, "type"),
            twice=reader["audit"].repeated(Entry, "order_id", "type"),
        )


def _outcome(subject: str) -> str:
    """The outcome that a mail with this subject reports; "" if none."""
    outcome = subject.rpartition(" ")[2].upper()
    return outcome if outcome in (order.CONFIRMED, order.CANCELLED) else ""


def _emitted(reader: Reader, contract: Contract) -> dict[str, int]:
    """Event type → how many the services have emitted, by their own counters."""
    emitted = dict.fromkeys(contract.by_key, 0)
    for service in contract.services:
        for name, value in reader[service].counters().items():
            if name.startswith("emitted:"):
                emitted[name.removeprefix("emitted:")] += value
    return emitted
