"""A shop's records: frames, pictures and verdicts, of an open shop or of its folder.

Every frame has the same columns, types and order of rows however the messages raced: sorted by
explicit keys, never by time of arrival. Money is integer pence.
"""

from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
from msgspec import Struct

from ecom.events import Line
from ecom.harness.history.history import History
from ecom.harness.records import by_number, table
from ecom.harness.tenancy import pages_of
from ecom.sandbox.gateway import Movement
from ecom.sandbox.mailbox import Mail
from ecom.services.audit import Entry
from ecom.services.inventory import Stock
from ecom.services.order import CANCELLED, CONFIRMED, PENDING, Order
from ecom.settings import one_of
from ecom.shop import accounts, arguments, moment
from ecom.shop.balance import Books
from ecom.shop.history import history
from ecom.shop.live import kept_saga
from ecom.shop.moment import Moment
from ecom.stores.reader import Reader

_STATES = PENDING, CONFIRMED, CANCELLED
# The cause of an event whose cause is not an event: a command, a timer …
_FIRST_CAUSES = {
    "order.created": "customer",
    "order.cancelled": "customer",
    "inventory.expired": "deadline",
}
# … or the answer of the payment provider, which was asked because of one of these, by saga:
_ASKED = {
    "payment.processed": ("inventory.processed", "coordinator.capture-money"),
    "payment.failed": ("inventory.processed", "coordinator.capture-money"),
    "payment.refunded": ("order.cancelled", "coordinator.refund-money"),
    "payment.undone": ("coordinator.refund-money",),
}


class Records:
    """The records of the shop in `folder`, which need not be open any more."""

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
            wanted = {} if state is None else {"state": one_of("state", state, _STATES)}
            rows = read["order"].rows(Order, **wanted)
        found = [
            (it.order_id, it.customer, _in_words(it.lines), it.total, it.state, it.reason or "")
            for it in sorted(rows, key=lambda it: it.number)
        ]
        types = dict.fromkeys(("order_id", "customer", "lines", "total", "state", "reason"), "str")
        return _frame(found, **types | {"total": "int64"})

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
        asked = {
            type_: next((it for it in keys if it in contract.consumed_by("payment")), "")
            for type_, keys in _ASKED.items()
        }
        first = _FIRST_CAUSES | asked
        found = [
            (id_, type_, producer, types.get(cause, first.get(type_, "")), _reason(body))
            for id_, type_, producer, _, cause, body in log
        ]
        # The contract names the events so that each comes after all it can follow from.
        place = {key: place for place, key in enumerate(contract.by_key)}
        found.sort(key=lambda row: (by_number(row[0]), place[row[1]]))
        return _frame(
            found, order_id="str", type="str", producer="str", caused_by="str", reason="str"
        )

    def stock(self) -> pd.DataFrame:
        """sku, initial, available, held, committed: units of each product, by sku."""
        with Reader(self.folder) as read:
            found = read["inventory"].values(Stock, *Stock.__struct_fields__)
        types = dict.fromkeys(Stock.__struct_fields__, "int64") | {"sku": "str"}
        return _frame(sorted(found), **types)

    def emails(self, order: str | None = None) -> pd.DataFrame:
        """order_id, to, subject, body: what customers were told; the outcome before the refund."""
        with Reader(self.folder) as read:
            mails = read["mailbox"].rows(Mail, **_of(order))
        found = [
            (it.order_id, it.to_address, it.subject, it.body)
            for it in sorted(mails, key=_by_outcome)
        ]
        return _frame(found, order_id="str", to="str", subject="str", body="str")

    def ledger(self) -> pd.DataFrame:
        """order_id, kind, amount (pence), outcome: the provider's own book, captures first."""
        found = [(it.order_id, it.kind, it.amount, it.outcome) for it in self._movements()]
        found.sort(key=lambda row: (by_number(row[0]), row[1]))
        return _frame(found, order_id="str", kind="str", amount="int64", outcome="str")

    def _movements(self) -> list[Movement]:
        with Reader(self.folder) as read:
            return read["gateway"].rows(Movement)

    def table(self, service: str, name: str) -> pd.DataFrame:
        """A table of a service's database, or of `gateway` or `mailbox`, as it is, by its key.

        Raises `ShopError` for a database or table there is not.
        """
        known = (*self.saga.services, "gateway", "mailbox")
        return table(self.folder, known, service, name)

    def books(self) -> Books:
        """Whether the books balance, in one line. Meaningful once `settle` has returned."""
        return accounts.books(self.folder, self.saga)

    def history(self, order_id: str) -> History:
        """All that happened to one order, causes before effects; shows itself as a diagram."""
        return history(self.folder, arguments.order_id(order_id), self.saga)

    def at(self, n: int) -> Moment:
        """All services' tables as they stood after the first `n` events of the log.

        Raises `CannotReplay` where the log has a gap, and `ShopError` if it is not that long.
        """
        return moment.at(self.folder, n, self.saga)


def _by_outcome(mail: Mail) -> tuple:
    refund, cancelled = mail.subject.startswith("Refund"), mail.subject.endswith("Cancelled")
    return by_number(mail.order_id), refund, cancelled, mail.message_id


def _of(order_id: str | None) -> dict[str, str]:
    return {} if order_id is None else {"order_id": arguments.order_id(order_id)}


class _Reason(Struct):
    reason: str = ""


def _reason(body: str) -> str:
    return msgspec.json.decode(body, type=_Reason).reason


def _frame(found: list[tuple], **types: str) -> pd.DataFrame:
    """A frame whose types do not depend on whether it is empty."""
    return pd.DataFrame(found, columns=list(types)).astype(types)


def _in_words(lines: tuple[Line, ...]) -> str:
    """An order's lines → `2 × TEAPOT, 1 × KITE`."""
    return ", ".join(f"{line.quantity} × {line.sku}" for line in lines)
