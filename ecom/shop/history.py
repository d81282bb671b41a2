"""What is the shop's own in the histories of its orders: its words, its log, its shelves."""

from datetime import datetime
from functools import partial
from pathlib import Path

import msgspec
from msgspec import Struct

from ecom.contract.contract import Event
from ecom.errors import ShopError
from ecom.events import InventoryProcessed, OrderCreated
from ecom.harness.history import history as harness
from ecom.harness.history.history import History, Words, change_of_state
from ecom.harness.history.replay import Logged, Past
from ecom.runtime.saga import Saga
from ecom.runtime.service import Work
from ecom.sagas.choreography import HOLD_SECONDS
from ecom.sagas.orchestration import HoldStock
from ecom.services.audit import Entry
from ecom.services.coordinator import Overdue
from ecom.services.inventory import HoldDeadline, Reservation, Stock, hold_stock
from ecom.services.notification import MailGivenUp, MailSent, SendMail, Told
from ecom.services.order import CancelOrder, Order, PlaceOrder
from ecom.services.payment import Captured, Declined, Payment, Refunded
from ecom.settings import shown
from ecom.shop.folder import kept_saga
from ecom.stores.base import Row
from ecom.stores.reader import Reader

LIFELINES = (
    "customer",
    "order",
    "coordinator",
    "inventory",
    "payment",
    "provider",
    "notification",
    "mailbox",
)

# What a service may publish once it has handled an event, by event and service.
ANSWERED_BY = {
    ("order.created", "inventory"): ("inventory.processed", "inventory.failed"),
    ("inventory.processed", "payment"): ("payment.processed", "payment.failed"),
    ("inventory.failed", "order"): ("order.cancelled",),
    ("payment.processed", "inventory"): ("inventory.committed",),
    ("payment.failed", "order"): ("order.cancelled",),
    ("inventory.committed", "order"): ("order.confirmed",),
    ("inventory.expired", "order"): ("order.cancelled",),
    ("order.cancelled", "inventory"): ("inventory.released",),
    ("order.cancelled", "payment"): ("payment.refunded",),
}  # notification answers with an e-mail
COORDINATED = {  # the same, with a coordinator
    ("order.created", "coordinator"): ("coordinator.hold-stock",),
    ("coordinator.hold-stock", "inventory"): ("inventory.processed", "inventory.failed"),
    ("inventory.processed", "coordinator"): ("coordinator.capture-money",),
    ("coordinator.capture-money", "payment"): ("payment.processed", "payment.failed"),
    ("payment.processed", "coordinator"): ("coordinator.commit-stock",),
    ("coordinator.commit-stock", "inventory"): ("inventory.committed",),
    ("inventory.committed", "coordinator"): ("coordinator.confirm-order",),
    ("coordinator.confirm-order", "order"): ("order.confirmed",),
    ("coordinator.reject-order", "order"): ("order.cancelled",),
    ("order.cancelled", "coordinator"): ("coordinator.refund-money", "coordinator.release-stock"),
    ("coordinator.refund-money", "payment"): ("payment.refunded", "payment.undone"),
    ("coordinator.release-stock", "inventory"): ("inventory.released",),
}
OWED = ANSWERED_BY | COORDINATED


def history(folder: Path, order_id: str, saga: Saga | None = None) -> History:
    """The history of an order of the shop in `folder`. Raises `ShopError` if there is none."""
    with Reader(folder) as reader:
        order = next(iter(reader["order"].rows(Order, order_id=order_id)), None)
    if order is None:
        raise ShopError(f"There is no order {shown(order_id)}.")
    title = f"Order {order_id}: " + ", ".join(filter(None, (order.state, order.reason)))
    return harness.history(past_of(folder, saga), order_id, title, WORDS)


# ── its past ──────────────────────────────────────────────────────────────────────────────────
def past_of(folder: Path, saga: Saga | None = None) -> Past:
    """The past of the shop in `folder`; its log is what audit has kept."""
    saga, entries = saga or kept_saga(folder), entries_of(folder)
    kinds = saga.contract.by_key
    events = [msgspec.json.decode(entry.body, type=kinds[entry.type]) for entry in entries]
    log = [
        Logged(it.id, it.causation, event, it.correlation)
        for it, event in zip(entries, events, strict=True)
    ]
    with Reader(folder) as reader:
        stock = reader["inventory"].rows(Stock)
    shelves = [Stock(row.sku, row.initial, row.initial) for row in stock]
    return Past(folder, _as_then(saga, events), log, {"inventory": shelves})


def entries_of(folder: Path) -> list[Entry]:
    """The event log of the shop in `folder`, in the order of its numbers."""
    with Reader(folder) as reader:
        return sorted(reader["audit"].rows(Entry), key=lambda entry: entry.n)


def _as_then(saga: Saga, events: list[Event]) -> Saga:
    """The shop's saga. How long a hold lasts is a setting; the events say what it was then."""
    until = {each.order_id: each.held_until for each in events if type(each) is InventoryProcessed}
    inventory, hold = saga.services["inventory"], partial(_hold_as_then, until)
    asked = [kind for kind in (OrderCreated, HoldStock) if kind in inventory.handlers]
    return saga.replacing(inventory.answering(dict.fromkeys(asked, hold)))


def _hold_as_then(until: dict[str, datetime], order: OrderCreated | HoldStock, work: Work) -> None:
    held_until = until.get(order.order_id)
    seconds = held_until.timestamp() - work.now if held_until else HOLD_SECONDS
    hold_stock(order, work, hold_seconds=seconds)


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


def _owed(key: str, service: str) -> str:
    by_mail = ("an e-mail",) if service == "notification" else ()
    return " or ".join(OWED.get((key, service), by_mail))


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
    owed=_owed,
    unless="unless payment comes first",
    lifelines=LIFELINES,
)
