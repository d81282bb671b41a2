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
from msgspec.structs import astuple

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
from ecom.stores.base import R
from ecom.stores.reader import Reader
from ecom.stores.reading import totals

ORDER = "order_id customer lines total state reason"
LEDGER, MAILS = "the payment provider's ledger", "customers' mailboxes"
# What led to an event if its cause is no event: a command, a timer, or the answer of the provider,
# whom payment had asked because of whichever of these that it consumes.
_FIRST_CAUSES = {
    "order.created": ["customer"],
    "order.cancelled": ["customer"],
    "inventory.expired": ["deadline"],
    "payment.processed": ["inventory.processed", "coordinator.capture-money"],
    "payment.failed": ["inventory.processed", "coordinator.capture-money"],
    "payment.refunded": ["order.cancelled", "coordinator.refund-money"],
    "payment.undone": ["coordinator.refund-money"],
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
        found = self.orders_as_json(state)
        for it in found:
            it["lines"] = ", ".join(f"{line['quantity']} × {line['sku']}" for line in it["lines"])
        return frame(found, ORDER, {"total"})

    def orders_as_json(self, state: str | None = None) -> list[dict[str, Any]]:
        """The same for programs: lines as objects, in pence."""
        known = PENDING, CONFIRMED, CANCELLED
        wanted = {} if state is None else {"state": one_of("state", state, known)}
        rows = sorted(self._rows("order", Order, **wanted), key=lambda it: it.number)
        found = [msgspec.to_builtins(row) | {"reason": row.reason or ""} for row in rows]
        return [{name: it[name] for name in ORDER.split()} for it in found]

    def events(self, order: str | None = None) -> pd.DataFrame:
        """order_id, type, producer, caused_by, reason: the audit log, causes before effects.

        `caused_by` is the type of the event that led to this one, or `customer`, or `deadline`.
        """
        log, contract = self._rows("audit", Entry, **_of(order)), self.saga.contract
        types = {it.id: it.type for it in log}
        known = {"customer", "deadline", *contract.consumed_by("payment")}
        first = {key: it for key, some in _FIRST_CAUSES.items() for it in some if it in known}
        # The contract names the events so that each comes after all it can follow from.
        place = {key: place for place, key in enumerate(contract.by_key)}
        found = []
        for it in sorted(log, key=lambda it: (by_number(it.order_id), place[it.type])):
            cause = types.get(it.causation, first.get(it.type, ""))
            reason = msgspec.json.decode(it.body).get("reason", "")
            found.append((it.order_id, it.type, it.producer, cause, reason))
        return frame(found, "order_id type producer caused_by reason")

    def stock(self) -> pd.DataFrame:
        """sku, initial, available, held, committed: units of each product, by sku."""
        fields = Stock.__struct_fields__
        found = sorted(map(astuple, self._rows("inventory", Stock)))
        return frame(found, " ".join(fields), fields[1:])

    def emails(self, order: str | None = None) -> pd.DataFrame:
        """order_id, to, subject, body: what customers were told; the outcome before the refund."""
        mails = sorted(self._rows("mailbox", Mail, **_of(order)), key=_by_outcome)
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
                awaited=read.look().awaited(),
            )

    def _movements(self) -> list[Movement]:
        return self._rows("gateway", Movement)

    def _told(self) -> list[tuple[str, str]]:
        """Order and outcome of each e-mail that reports one."""
        mails = self._rows("mailbox", Mail)
        found = [(mail.order_id, mail.subject.rpartition(" ")[2].upper()) for mail in mails]
        return [it for it in found if it[1] in (CONFIRMED, CANCELLED)]

    def _rows(self, database: str, kind: type[R], **conditions: Any) -> list[R]:
        with Reader(self.folder) as read:
            return read[database].rows(kind, **conditions)

    def history(self, order_id: str) -> History:
        """All that happened to one order, causes before effects; shows itself as a diagram."""
        return history(self.folder, arguments.order_id(order_id), self.saga)

    def at(self, n: int) -> Moment:
        """All services' tables as they stood after the first `n` events of the log.

        Raises `CannotReplay` where the log has a gap, and `ShopError` if it is not that long.
        """
        return at(self.folder, n, self.saga)


def frame(found: list[Any], names: str, numbers: Collection[str] = ()) -> pd.DataFrame:
    """A frame whose types do not depend on whether it is empty: texts, but for the `numbers`."""
    types = {name: "int64" if name in numbers else "str" for name in names.split()}
    return pd.DataFrame(found, columns=list(types)).astype(types)


def _by_outcome(mail: Mail) -> tuple:
    refund, cancelled = mail.subject.startswith("Refund"), mail.subject.endswith("Cancelled")
    return by_number(mail.order_id), refund, cancelled, mail.message_id


def _of(order_id: str | None) -> dict[str, str]:
    return {} if order_id is None else {"order_id": arguments.order_id(order_id)}
