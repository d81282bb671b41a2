"""Reads a shop's accounts from its databases, so that the books can be checked."""

from collections import Counter
from pathlib import Path

from ecom.runtime.saga import Saga
from ecom.sandbox.gateway import Movement
from ecom.sandbox.mailbox import Mail
from ecom.services.audit import Entry
from ecom.services.inventory import Reservation, Stock
from ecom.services.order import CANCELLED, CONFIRMED, Order
from ecom.services.payment import Payment
from ecom.shop.balance import Accounts, Books, close_books
from ecom.shop.live import monitor
from ecom.stores.reader import Reader
from ecom.stores.reading import totals


def books(folder: Path, saga: Saga | None = None) -> Books:
    """The verdict on the books of the shop in `folder`, which should be settled."""
    return close_books(read(folder, saga))


def read(folder: Path, saga: Saga | None = None) -> Accounts:
    """What all parts of the shop in `folder` hold, and its provider and mailboxes."""
    with Reader(folder) as reader:
        ledger = reader["gateway"].rows(Movement)
        mails = reader["mailbox"].values(Mail, "order_id", "subject")
    told = [(order_id, told) for order_id, mail in mails if (told := _outcome(mail))]
    return of_services(folder, ledger, told, saga)


def of_services(
    folder: Path,
    ledger: list[Movement] | None,
    told: list[tuple[str, str]],
    saga: Saga | None = None,
) -> Accounts:
    """What the services of the shop in `folder` hold, beside what others do."""
    with Reader(folder) as reader, monitor(folder, saga=saga) as looking:
        contract = looking.contract
        counted = sum((totals(reader[it].counters()) for it in contract.services), Counter())
        log = Counter(reader["audit"].values(Entry, "order_id", "type"))
        return Accounts(
            orders=reader["order"].rows(Order),
            stock=reader["inventory"].rows(Stock),
            reservations=reader["inventory"].rows(Reservation),
            payments=reader["payment"].rows(Payment),
            ledger=ledger,
            told=told,
            emitted={key: counted[f"emitted:{key}"] for key in contract.by_key},
            logged=Counter(key for _, key in log.elements()),
            twice=[event for event, times in log.items() if times > 1],
            awaited=looking.awaited(),
        )


def _outcome(subject: str) -> str:
    """The outcome that a mail with this subject reports; "" if none."""
    outcome = subject.rpartition(" ")[2].upper()
    return outcome if outcome in (CONFIRMED, CANCELLED) else ""
