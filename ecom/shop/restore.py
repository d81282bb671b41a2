"""What the log still knows is put back into an order service's database that is older than the log.

As after it was restored from a copy (see docs/RESTORE.md). Nothing is published: what other
services have published and this database lacks, gap detection asks for. `python -m
ecom.shop.restore FOLDER` does it while no service runs."""

import sys
from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec.structs import replace

from ecom.contract.contract import Event
from ecom.contract.envelope import is_derived
from ecom.errors import ShopError
from ecom.events import OrderCancelled, OrderConfirmed, OrderCreated
from ecom.process.databases import Files
from ecom.runtime.streams import apart, came
from ecom.runtime.tables import Received
from ecom.services.audit import Entry
from ecom.services.order import CANCELLED, CONFIRMED, FIRST_ORDER, PENDING, Order
from ecom.shop.folder import kept_saga
from ecom.stores.base import Store, Table, Transaction
from ecom.stores.reader import Reader

EVENTS = {kind.key: kind for kind in (OrderCreated, OrderConfirmed, OrderCancelled)}
SPARE = 1_000  # numbers that are left out: of orders that the log has not heard of yet


def put_back_orders(folder: Path) -> int:
    """Put back orders that the shop's log knows and its order service does not; how many.

    No service may run. Costs two look-ups if there is nothing to do.
    """
    with Reader(folder) as reader:
        services = kept_saga(folder).services
        heard = last_heard(it for name in services for it in reader[name].rows(Received))
        emitted = reader["order"].counters()
        if all(number <= emitted.get(f"emitted:{key}", 0) for key, number in heard.items()):
            return 0
        entries = reader["audit"].rows(Entry, producer="order")
    with closing(Files(folder).store("order")) as store:
        return put_back(entries, store, heard)


def last_heard(rows: Iterable[Received]) -> dict[str, int]:
    """The last number of each of the order service's streams that has come to anybody."""
    ends = {stream: ranges[-1][1] for stream, ranges in came(rows).items() if ranges}
    return {stream: last for stream, last in ends.items() if apart(stream)[0] in EVENTS}


def put_back(entries: Iterable[Entry], store: Store, heard: Mapping[str, int]) -> int:
    """Bring orders up to what `entries` of the log say, and numbers of events to those `heard`."""
    tx = Transaction(store)
    orders, lost = tx[Order], 0
    for entry in sorted(entries, key=lambda entry: entry.n):
        if (kind := EVENTS.get(entry.type)) is not None:
            lost += _put_back(entry, msgspec.json.decode(entry.body, type=kind), orders)
    for key, number in heard.items():
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
    if len(sys.argv) != 2:
        sys.exit("Use: python -m ecom.shop.restore FOLDER")
    try:
        print(f"Orders put back: {put_back_orders(Path(sys.argv[1]))}.")
    except ShopError as error:
        sys.exit(str(error))
