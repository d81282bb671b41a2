"""A shop's records: frames, pictures and verdicts, of an open shop or of its folder.

Every frame has the same columns, types and order of rows however the messages raced: sorted by
explicit keys, never by time of arrival. Money is integer pence.
"""

from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from ecom.events import Line
from ecom.harness.history.history import History
from ecom.harness.quiescence import Monitor
from ecom.harness.records import by_number, table
from ecom.harness.tenancy import pages_of
from ecom.sandbox.gateway import Movement
from ecom.sandbox.mailbox import Mail
from ecom.services.audit import Entry
from ecom.services.inventory import Reservation, Stock
from ecom.services.order import CANCELLED, CONFIRMED, PENDING, Order
from ecom.services.payment import Payment
from ecom.settings import one_of
from ecom.shop import arguments
from ecom.shop.balance import Accounts, Books, close_books
from ecom.shop.folder import kept_saga
from ecom.shop.history import Moment, at, history
from ecom.stores.reader import Reader
from ecom.stores.reading import totals

LEDGER, MAILS = "the payment provider's ledger", "customers' mailboxes"
# The cause of an event whose cause is not an event: a command, a timer …
_FIRST_CAUSES = {
    "order.created": "customer",
    "order.cancelled": "customer",
    "inventory.expired": "deadline",
}
# What payment publishes once its provider has answered, whom it had asked because of these.
_ASKED = {
    "inventory.processed": ("payment.processed", "payment.failed"),
    "order.cancelled": ("payment.refunded",),
    "coordinator.capture-money": ("payment.processed", "payment.failed"),
    "coordinator.refund-money": ("payment.refunded", "payment.undone"),
}


class Records:
    """The records of the shop in `folder`, which need not be open any more."""

    unseen: tuple[str, ...] = ()  # those of LEDGER and MAILS that nobody sees from here

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.saga = kept_saga(self.folder)

    @property
    def rabbitmq(self) -> str:
        """Where RabbitMQ's own pages are, and the login; "" but for a private one that runs."""
        return pages_of(self.folder)

    def orders(self, state: str | None = None) -> pd.DataFrame:
        """order_id, customer, lines, total (pence), state, reason: a row an order, by number."""
        with Reader(self.folder) as read:
            known = PENDING, CONFIRMED, CANCELLED
            wanted = {} if state is None else {"state": one_of("state", state, known)}
            rows = read["order"].rows(Order, **wanted)
        found = [
            (it.order_id, it.customer, _in_words(it.lines), it.total, it.state, it.reason or "")
            for it in sorted(rows, key=lambda it: it.number)
        ]
        return frame(found, "order_id customer lines total state reason", {"total"})

    def orders_as_json(self, state: str | None = None) -> list[dict[str, Any]]:
        """The same for programs: lines as objects, in pence."""
        found = self.orders(state).to_dict("records")
        with Reader(self.folder) as read:  # of all states: one may have changed meanwhile
            lines = {it.order_id: msgspec.to_builtins(it.lines) for it in read["order"].rows(Order)}
        return [it | {"lines": lines[it["order_id"]]} for it in found]

    def events(self, order: str | None = None) -> pd.DataFrame:
        """order_id, type, producer, caused_by, reason: the audit log, causes before effects.

        `caused_by` is the type of the event that led to this one, or `customer`, or `deadline`.
        """
        columns = ("order_id", "type", "producer", "id", "causation", "body")
        with Reader(self.folder) as read:
            log = read["audit"].values(Entry, *columns, **_of(order))
        types = {id_: type_ for _, type_, _, id_, _, _ in log}
        contract = self.saga.contract
        heard = contract.consumed_by("payment")
        asked = {it: key for key, events in _ASKED.items() if key in heard for it in events}
        first = _FIRST_CAUSES | asked
        found = []
        for id_, type_, producer, _, cause, body in log:
            reason = msgspec.json.decode(body).get("reason", "")
            found.append((id_, type_, producer, types.get(cause, first.get(type_, "")), reason))
        # The contract names the events so that each comes after all it can follow from.
        place = {key: place for place, key in enumerate(contract.by_key)}
        found.sort(key=lambda row: (by_number(row[0]), place[row[1]]))
        return frame(found, "order_id type producer caused_by reason")

    def stock(self) -> pd.DataFrame:
        """sku, initial, available, held, committed: units of each product, by sku."""
        fields = Stock.__struct_fields__
        with Reader(self.folder) as read:
            found = read["inventory"].values(Stock, *fields)
        return frame(sorted(found), " ".join(fields), fields[1:])

    def emails(self, order: str | None = None) -> pd.DataFrame:
        """order_id, to, subject, body: what customers were told; the outcome before the refund."""
        with Reader(self.folder) as read:
            mails = sorted(read["mailbox"].rows(Mail, **_of(order)), key=_by_outcome)
        found = [(it.order_id, it.to_address, it.subject, it.body) for it in mails]
        return frame(found, "order_id to subject body")

    def ledger(self) -> pd.DataFrame:
        """order_id, kind, amount (pence), outcome: the provider's own book, captures first."""
        found = [(it.order_id, it.kind, it.amount, it.outcome) for it in self._movements()]
        found.sort(key=lambda row: (by_number(row[0]), row[1]))
        return frame(found, "order_id kind amount outcome", {"amount"})

    def table(self, service: str, name: str) -> pd.DataFrame:
        """A table of a service's database, or of `gateway` or `mailbox`, as it is, by its key.

        Raises `ShopError` for a database or table there is not.
        """
        known = (*self.saga.services, "gateway", "mailbox")
        return table(self.folder, known, service, name)

    def books(self) -> Books:
        """Whether the books balance, in one line, as far as can be seen from here. Meaningful once
        `settle` has returned."""
        return close_books(self.accounts(), self.unseen)

    def accounts(self) -> Accounts:
        """What all parts of the shop hold, its provider and its customers' mailboxes."""
        ledger = None if LEDGER in self.unseen else self._movements()
        told, contract = self._told(), self.saga.contract
        with Monitor(self.saga, self.folder) as read:
            counted = sum((totals(read[it].counters()) for it in contract.services), Counter())
            log = Counter(read["audit"].values(Entry, "order_id", "type"))
            return Accounts(
                orders=read["order"].rows(Order),
                stock=read["inventory"].rows(Stock),
                reservations=read["inventory"].rows(Reservation),
                payments=read["payment"].rows(Payment),
                ledger=ledger,
                told=told,
                emitted={key: counted[f"emitted:{key}"] for key in contract.by_key},
                logged=Counter(key for _, key in log.elements()),
                twice=[event for event, times in log.items() if times > 1],
                awaited=read.awaited(),
            )

    def _movements(self) -> list[Movement]:
        with Reader(self.folder) as read:
            return read["gateway"].rows(Movement)

    def _told(self) -> list[tuple[str, str]]:
        """Order and outcome of each e-mail that reports one."""
        with Reader(self.folder) as read:
            mails = read["mailbox"].values(Mail, "order_id", "subject")
        found = [(order_id, subject.rpartition(" ")[2].upper()) for order_id, subject in mails]
        return [it for it in found if it[1] in (CONFIRMED, CANCELLED)]

    def history(self, order_id: str) -> History:
        """All that happened to one order, causes before effects; shows itself as a diagram."""
        return history(self.folder, arguments.order_id(order_id), self.saga)

    def at(self, n: int) -> Moment:
        """All services' tables as they stood after the first `n` events of the log.

        Raises `CannotReplay` where the log has a gap, and `ShopError` if it is not that long.
        """
        return at(self.folder, n, self.saga)


def frame(found: list[tuple], names: str, numbers: Collection[str] = ()) -> pd.DataFrame:
    """A frame whose types do not depend on whether it is empty: texts, but for the `numbers`."""
    types = {name: "int64" if name in numbers else "str" for name in names.split()}
    return pd.DataFrame(found, columns=list(types)).astype(types)


def _by_outcome(mail: Mail) -> tuple:
    refund, cancelled = mail.subject.startswith("Refund"), mail.subject.endswith("Cancelled")
    return by_number(mail.order_id), refund, cancelled, mail.message_id


def _of(order_id: str | None) -> dict[str, str]:
    return {} if order_id is None else {"order_id": arguments.order_id(order_id)}


def _in_words(lines: tuple[Line, ...]) -> str:
    """An order's lines → `2 × TEAPOT, 1 × KITE`."""
    return ", ".join(f"{line.quantity} × {line.sku}" for line in lines)
