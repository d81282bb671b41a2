"""What the log still knows is put back into an order service's database that is older than the log.

As after it was restored from a copy (see docs/RESTORE.md). Nothing is published: what other
services have published and this database lacks, gap detection asks for. `python -m
ecom.shop.restore FOLDER` does it while no service runs."""

import sys
from collections import Counter as Tally
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec.structs import replace

from ecom.contract.envelope import is_derived
from ecom.contract.event import Event
from ecom.events import OrderCancelled, OrderConfirmed, OrderCreated
from ecom.process.driver import database
from ecom.sagas.choreography import choreography
from ecom.services.audit import Entry
from ecom.services.order import CANCELLED, CONFIRMED, FIRST_ORDER, PENDING, Order
from ecom.stores.base import Store, Table, Transaction
from ecom.stores.reader import Reader
from ecom.stores.sqlite import SqliteStore

SPARE = 1_000  # numbers that are left out: of orders that the log has not heard of yet


def put_back_orders(folder: Path) -> int:
    """Put back orders that the shop's log knows and its order service does not; how many.

    No service may run. Costs two look-ups if there is nothing to do.
    """
    with Reader(folder) as reader:
        logged = reader["audit"].counters().get("handled:order.created", 0)
        if logged <= reader["order"].counters().get("emitted:order.created", 0):
            return 0
        entries = reader["audit"].rows(Entry, producer="order")
    store = SqliteStore(database(folder, "order"))
    try:
        return put_back(entries, store)
    finally:
        store.close()


def put_back(entries: Iterable[Entry], store: Store) -> int:
    """Bring orders up to what their service has published, as `entries` of the log have it."""
    tx = Transaction(store)
    orders, published = tx[Order], Tally[str]()
    kinds = choreography().contract.by_key
    lost = 0
    for entry in sorted(entries, key=lambda entry: entry.n):
        published[entry.type] += 1
        event = msgspec.json.decode(entry.body, type=kinds[entry.type])
        lost += _put_back(entry, event, orders)
    for key, number in published.items():
        tx.count(f"emitted:{key}", max(0, number - tx.counted(f"emitted:{key}")))
    if lost:
        number = max(order.number for order in orders.written())
        tx.count("orders", max(0, number + SPARE - FIRST_ORDER + 1 - tx.counted("orders")))
    tx.commit()
    return lost


def _put_back(entry: Entry, event: Event, orders: Table[Order]) -> bool:
    """Whether this event is of an order that was lost; it is as the event says, afterwards."""
    order, at = orders.get(entry.order_id), datetime.fromisoformat(entry.time).timestamp()
    match event:
        case OrderCreated() if order is None:
            what = event.order_id, event.customer, event.card, event.total, PENDING, None, at, None
            orders.put(Order(*what, event.lines, int(event.order_id), entry.correlation))
            return True
        case OrderConfirmed() if order and order.state == PENDING and _is_of(entry, order):
            orders.put(replace(order, state=CONFIRMED, ended_at=at))
        case OrderCancelled() if order and order.state != CANCELLED and _is_of(entry, order):
            orders.put(replace(order, state=CANCELLED, reason=event.reason, ended_at=at))
    return False


def _is_of(entry: Entry, order: Order) -> bool:
    """Whether an event is of this order, and not of another that had its number. Earlier releases
    did not tell in every event, nor in their orders."""
    return is_derived(entry.correlation) or order.saga in ("", entry.correlation)


if __name__ == "__main__":
    print(f"Orders put back: {put_back_orders(Path(sys.argv[1]))}.")
