"""What is the shop's own in its past: the words of an order's history, its log, its shelves; and
the tables as they stood earlier, rebuilt from what services handled."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import msgspec
import pandas as pd
from msgspec import Struct

from ecom.errors import ShopError
from ecom.events import InventoryProcessed, OrderCreated
from ecom.harness.history import history as harness
from ecom.harness.history.history import History, Words, change_of_state
from ecom.harness.history.replay import Logged, Past, tables_at
from ecom.harness.records import by_number
from ecom.runtime.saga import Saga
from ecom.runtime.service import Work
from ecom.sagas.choreography import HOLD_SECONDS
from ecom.sagas.orchestration import HoldStock
from ecom.services.audit import Entry
from ecom.services.coordinator import Overdue
from ecom.services.inventory import HoldDeadline, Reservation, Stock, hold_stock
from ecom.services.notification import MailGivenUp, MailSent, SendMail, Told
from ecom.services.order import CancelOrder, Order, PlaceOrder, Request
from ecom.services.payment import Captured, Declined, Payment, Refunded
from ecom.settings import number, shown
from ecom.shop.folder import kept_saga
from ecom.stores.base import Row
from ecom.stores.query import key_of
from ecom.stores.reader import Reader
from ecom.stores.sql import columns_of

LIFELINES = [
    "customer",
    "order",
    "coordinator",
    "inventory",
    "payment",
    "provider",
    "notification",
    "mailbox",
]


def history(folder: Path, order_id: str, saga: Saga | None = None) -> History:
    """The history of an order of the shop in `folder`. Raises `ShopError` if there is none."""
    with Reader(folder) as reader:
        order = reader["order"].fetch(Order, order_id)
    if order is None:
        raise ShopError(f"There is no order {shown(order_id)}.")
    title = f"Order {order_id}: " + ", ".join(filter(None, (order.state, order.reason)))
    return harness.history(past_of(folder, saga), order_id, title, WORDS)


# ── its past ──────────────────────────────────────────────────────────────────────────────────
def past_of(folder: Path, saga: Saga | None = None) -> Past:
    """The past of the shop in `folder`; its log is what audit has kept."""
    saga, log = saga or kept_saga(folder), list[Logged]()
    for it in entries_of(folder):
        event = msgspec.json.decode(it.body, type=saga.contract.by_key[it.type])
        log.append(Logged(it.id, it.causation, event, it.correlation))
    with Reader(folder) as reader:
        stock = reader["inventory"].rows(Stock)
    shelves = [Stock(row.sku, row.initial, row.initial) for row in stock]
    return Past(folder, _as_then(saga, log), log, {"inventory": shelves})


def entries_of(folder: Path) -> list[Entry]:
    """The event log of the shop in `folder`, in the order of its numbers."""
    with Reader(folder) as reader:
        return sorted(reader["audit"].rows(Entry), key=lambda entry: entry.n)


def _as_then(saga: Saga, log: list[Logged]) -> Saga:
    """The shop's saga. How long a hold lasts is a setting; the events say what it was then."""
    held = (it.event for it in log if type(it.event) is InventoryProcessed)
    until = {event.order_id: event.held_until for event in held}
    inventory, hold = saga.services["inventory"], partial(_hold_as_then, until)
    asked = [kind for kind in (OrderCreated, HoldStock) if kind in inventory.handlers]
    return saga.replacing(inventory.answering(dict.fromkeys(asked, hold)))


def _hold_as_then(until: dict[str, datetime], order: OrderCreated | HoldStock, work: Work) -> None:
    held_until = until.get(order.order_id)
    seconds = held_until.timestamp() - work.now if held_until else HOLD_SECONDS
    hold_stock(order, work, hold_seconds=seconds)


# ── time travel ───────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, repr=False)
class Moment:
    """All services' tables after the first `n` events of the log; `total` are in it today."""

    saga: Saga
    n: int
    total: int
    rows: dict[type[Row], list[Row]]

    @property
    def tables(self) -> dict[tuple[str, str], type[Row]]:
        """What is rebuilt, by service and table: all but requests, which are forgotten in time."""
        kinds = [(it.name, kind) for it in self.saga.services.values() for kind in it.rows]
        return {(service, kind.table): kind for service, kind in kinds if kind is not Request}

    def table(self, service: str, name: str) -> pd.DataFrame:
        """A table with the columns and the order it has in the service's database."""
        if (kind := self.tables.get((service, name))) is None:
            names = ", ".join(".".join(pair) for pair in self.tables)
            raise ShopError(f"{service}.{name} is not rebuilt from the log: choose of {names}.")
        columns = columns_of(kind)
        found = [columns.to_sql(row) for row in sorted(self.rows[kind], key=key_of)]
        return pd.DataFrame(found, columns=list(columns.names))

    @property
    def stock(self) -> pd.DataFrame:
        """sku, initial, available, held, committed."""
        return self.table("inventory", "stock")

    @property
    def states(self) -> pd.DataFrame:
        """order_id, order, inventory, payment: each order's state in each service, or nothing."""
        kinds = {"order": Order, "inventory": Reservation, "payment": Payment}
        known = {it: {key_of(row): row.state for row in self.rows[kinds[it]]} for it in kinds}
        found = pd.DataFrame(known, dtype="str").fillna("").rename_axis("order_id").reset_index()
        return found.sort_values("order_id", key=lambda ids: ids.map(by_number), ignore_index=True)

    def __repr__(self) -> str:
        if not self.n:
            return f"Before the first of {self.total} events"
        last = self.rows[Entry][-1]
        return f"After event {self.n} of {self.total}, {last.type} of order {last.order_id}"


def at(folder: Path, n: int, saga: Saga | None = None) -> Moment:
    """The shop in `folder` after the first `n` events of its log: see `tables_at`."""
    saga, log = saga or kept_saga(folder), entries_of(folder)
    n = number("how many events of the log", n, 0, len(log), whole=True)
    tables = tables_at(past_of(folder, saga), n)
    return Moment(saga, n, len(log), {**tables, Entry: log[:n]})


# ── its words ─────────────────────────────────────────────────────────────────────────────────
def _effect(effect: Struct) -> tuple[str, str, str]:
    if isinstance(effect, SendMail):
        return "mail", "mailbox", effect.subject
    return "effect", "provider", f"{type(effect).__name__.lower()} £{effect.amount / 100:.2f}"


def _change(before: Row | None, after: Row | None) -> str:
    if isinstance(after, Told):
        news = ("confirmed", "cancelled", "refunded")
        new = [what for what in news if getattr(after, what) and not getattr(before, what, None)]
        return f"told: {', '.join(new)}" if new else ""
    entombed = before is None and isinstance(after, Reservation | Payment)
    tombstone = entombed and after.state == "CANCELLED"
    return change_of_state(before, after) + (" (tombstone)" if tombstone else "")


WORDS = Words(
    caller="customer",
    messages={
        PlaceOrder: "places the order",
        CancelOrder: "cancels the order",
        HoldDeadline: "the hold runs out",
        Overdue: "no answer in time",
        Captured: "captured",
        Declined: "declined",
        Refunded: "refunded",
        MailSent: "",
        MailGivenUp: "",
    },
    effect=_effect,
    change=_change,
    unless="unless payment comes first",
    lifelines=LIFELINES,
)
