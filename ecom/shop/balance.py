"""Do the books balance? The promises of the saga, checked on plain rows.

`judge` knows no database: the shop hands it what the services' tables hold, and so may anything
else that keeps the same rows. It holds once the shop is settled, not while orders are under way.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

SHOWN = 5  # problems shown in one line; `problems` holds all


class Order(NamedTuple):
    order_id: str
    state: str
    total: int  # pence
    reason: str | None


class Stock(NamedTuple):
    sku: str
    initial: int
    available: int
    held: int
    committed: int


class Reservation(NamedTuple):
    order_id: str
    state: str
    units: Mapping[str, int]  # sku → units of the whole order


class Payment(NamedTuple):
    order_id: str
    state: str
    amount: int  # pence


class Booking(NamedTuple):
    """One row of the payment provider's own ledger."""

    order_id: str
    kind: str  # capture, refund
    outcome: str  # captured, declined, refunded
    amount: int  # pence


@dataclass(frozen=True)
class Accounts:
    """What all parts of a shop hold, as plain rows."""

    orders: list[Order]
    stock: list[Stock]
    reservations: list[Reservation]
    payments: list[Payment]
    ledger: list[Booking]
    told: list[tuple[str, str]]  # (order, outcome) of each e-mail that reports an outcome
    said: Mapping[str, int]  # event type → how many distinct ones were emitted
    logged: Mapping[str, int]  # event type → how many the audit log holds
    twice: list[tuple[str, str]]  # (order, event type) that the audit log holds more than once


@dataclass(frozen=True)
class Books:
    """The verdict on a shop's books; its text is one line."""

    orders: int
    confirmed: int
    cancelled: int
    kept: int  # pence captured and not refunded
    problems: tuple[str, ...] = ()

    @property
    def balanced(self) -> bool:
        """Whether every promise holds."""
        return not self.problems

    def __str__(self) -> str:
        if self.problems:
            more = len(self.problems) - SHOWN
            return "off: " + "; ".join(self.problems[:SHOWN]) + (f"; and {more} more" * (more > 0))
        return (
            f"balanced: {self.orders:,} orders, {self.confirmed:,} confirmed, "
            f"{self.cancelled:,} cancelled, {pounds(self.kept)} captured and kept"
        )

    __repr__ = __str__


def pounds(pence: int) -> str:
    """`41250` → `£412.50`."""
    sign = "-" if pence < 0 else ""
    return f"{sign}£{abs(pence) // 100:,}.{abs(pence) % 100:02}"


def close_books(accounts: Accounts) -> Books:
    """The verdict on these accounts."""
    states = Counter(order.state for order in accounts.orders)
    kept = sum(_kept(accounts.ledger).values())
    return Books(
        orders=len(accounts.orders),
        confirmed=states["CONFIRMED"],
        cancelled=states["CANCELLED"],
        kept=kept,
        problems=tuple(judge(accounts)),
    )


def judge(accounts: Accounts) -> list[str]:
    """Every violation as one sentence; empty when the books balance."""
    return [
        *_judge_stock(accounts.stock, accounts.reservations),
        *_judge_ledger(accounts.ledger),
        *_judge_orders(accounts),
        *_judge_strangers(accounts),
        *_judge_mails(accounts),
        *_judge_audit(accounts),
    ]


def _judge_stock(stock: list[Stock], reservations: list[Reservation]) -> Iterator[str]:
    reserved = {"HELD": Counter(), "COMMITTED": Counter()}
    for reservation in reservations:
        if reservation.state in reserved:
            reserved[reservation.state].update(reservation.units)
    for shelf in stock:
        if min(shelf.available, shelf.held, shelf.committed) < 0:
            yield (
                f"{shelf.sku} is below zero: {shelf.available} available, "
                f"{shelf.held} held, {shelf.committed} committed"
            )
        if (now := shelf.available + shelf.held + shelf.committed) != shelf.initial:
            yield f"{shelf.sku} began with {shelf.initial} units and has {now}"
        for state, units in (("HELD", shelf.held), ("COMMITTED", shelf.committed)):
            if units != (owed := reserved[state].pop(shelf.sku, 0)):
                yield f"{shelf.sku} has {units} units {state}, its orders {owed}"
    for state, units in reserved.items():
        yield from (f"{sku} is {state} for orders but is no product" for sku in units)


def _judge_ledger(ledger: list[Booking]) -> Iterator[str]:
    captured: dict[str, list[int]] = defaultdict(list)
    refunded: dict[str, list[int]] = defaultdict(list)
    for booking in ledger:
        if booking.outcome == "captured":
            captured[booking.order_id].append(booking.amount)
        elif booking.outcome == "refunded":
            refunded[booking.order_id].append(booking.amount)
    for order_id, amounts in captured.items():
        if len(amounts) > 1:
            yield f"order {order_id} was charged {len(amounts)} times"
    for order_id, amounts in refunded.items():
        if len(amounts) > 1:
            yield f"order {order_id} was refunded {len(amounts)} times"
        elif amounts != captured[order_id]:
            paid = pounds(sum(captured[order_id]))
            yield f"order {order_id} paid {paid} and was refunded {pounds(amounts[0])}"


def _judge_orders(accounts: Accounts) -> Iterator[str]:
    stock = {row.order_id: row.state for row in accounts.reservations}
    money = {row.order_id: row for row in accounts.payments}
    kept = _kept(accounts.ledger)
    for order in accounts.orders:
        where = stock.get(order.order_id, "none")
        payment = money.get(order.order_id)
        paid = payment.state if payment else "none"
        for wrong in _judge_order(order, where, paid, kept.get(order.order_id, 0)):
            yield f"order {order.order_id} is {order.state} but {wrong}"


def _judge_order(order: Order, stock: str, payment: str, kept: int) -> Iterator[str]:
    if order.state == "CONFIRMED":
        if stock != "COMMITTED":
            yield f"its stock is {stock}, not COMMITTED"
        if payment != "CAPTURED":
            yield f"its payment is {payment}, not CAPTURED"
        if kept != order.total:
            yield f"of its {pounds(order.total)} the shop keeps {pounds(kept)}"
    elif order.state == "CANCELLED":
        if stock in ("HELD", "COMMITTED"):
            yield f"its stock is {stock}"
        if payment in ("PENDING", "CAPTURED", "REFUNDING"):
            yield f"its payment is {payment}"
        if kept:
            yield f"{pounds(kept)} was not refunded"
        if not order.reason:
            yield "nobody says why"
    else:
        yield "its hold has not run out" if stock == "HELD" else "nothing is under way"


def _judge_strangers(accounts: Accounts) -> Iterator[str]:
    """Stock or money that belongs to an order nobody placed."""
    known = {order.order_id for order in accounts.orders}
    parts: dict[str, Iterable[str]] = {
        "stock": (row.order_id for row in accounts.reservations),
        "a payment": (row.order_id for row in accounts.payments),
        "money at the provider": (row.order_id for row in accounts.ledger),
        "an e-mail": (order_id for order_id, _ in accounts.told),
    }
    for what, ids in parts.items():
        yield from (f"{what} for order {id_}, which nobody placed" for id_ in set(ids) - known)


def _judge_mails(accounts: Accounts) -> Iterator[str]:
    told = Counter(accounts.told)
    for order in accounts.orders:
        if order.state not in ("CONFIRMED", "CANCELLED"):
            continue
        times = told[order.order_id, order.state]
        if times != 1:
            how = "was not told" if times == 0 else f"was told {times} times"
            yield f"the customer of order {order.order_id} {how} that it is {order.state}"
    states = {order.order_id: order.state for order in accounts.orders}
    for (order_id, outcome), times in told.items():
        # A customer who cancels a confirmed order is rightly told both.
        if outcome == "CONFIRMED" and states.get(order_id) == "CANCELLED" and times > 1:
            yield f"the customer of order {order_id} was told {times} times that it is CONFIRMED"
        if outcome == "CANCELLED" and states.get(order_id) == "CONFIRMED":
            yield f"the customer of order {order_id} was told that it is CANCELLED"


def _judge_audit(accounts: Accounts) -> Iterator[str]:
    for key in sorted({*accounts.said, *accounts.logged}):
        said, logged = accounts.said.get(key, 0), accounts.logged.get(key, 0)
        if said != logged:
            yield f"{said} {key} were emitted, {logged} are in the audit log"
    for order_id, key in accounts.twice:
        yield f"order {order_id} has more than one {key} in the audit log"


def _kept(ledger: list[Booking]) -> dict[str, int]:
    """Order → pence the provider captured and did not refund."""
    signs = {"captured": 1, "refunded": -1}
    kept: dict[str, int] = defaultdict(int)
    for booking in ledger:
        kept[booking.order_id] += signs.get(booking.outcome, 0) * booking.amount
    return kept
