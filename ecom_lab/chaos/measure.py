"""Counts what became of the orders: read from the shop's databases, the provider's, the mailbox."""

from collections import Counter
from pathlib import Path

from ecom.shop.balance import Accounts
from ecom.shop.records import Records
from ecom.stores.reader import Reader
from ecom.stores.reading import totals

ENDED = ("CONFIRMED", "CANCELLED")


def count(folder: Path, attempted: set[str], acknowledged: dict[str, str]) -> dict[str, int]:
    """The counts of a `Verdict`. `attempted` are customers; `acknowledged`, order → customer."""
    records = Records(folder)
    found = records.accounts()
    customers = {order.order_id: order.customer for order in found.orders}
    told = {order_id for order_id, _ in found.told}
    safe = {order.order_id for order in found.orders if order.state in ENDED} & told
    kept = {order_id: customer for order_id, customer in customers.items() if order_id in safe}
    with Reader(folder) as read:  # how many messages came that an inbox knew already
        services = records.saga.services
        known = sum(totals(read[it].counters())["duplicates"] for it in services)
    return {
        "attempted": len(attempted),
        "acknowledged": len(acknowledged),
        "lost": len(acknowledged.items() - kept.items()),
        "unexpected": len(set(customers.values()) - attempted),
        "duplicate_deliveries": known,
        "duplicate_effects": _twice(found, Counter(customers.values())),
    }


def _twice(found: Accounts, orders: Counter[str]) -> int:
    """Each repetition of what must happen once: an order, a capture, a refund, a mail, an entry."""
    moved = Counter((booking.order_id, booking.kind) for booking in found.ledger)
    told = Counter(found.told)
    return len(found.twice) + sum(
        times - 1 for counts in (orders, moved, told) for times in counts.values()
    )
