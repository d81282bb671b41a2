"""Do the books balance? The promises of the saga, checked on plain rows.

`judge` knows no database: the shop hands it the rows of its services, and so may anything else that
keeps the same rows. It holds once the shop is settled, not while orders are under way.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ecom.services.inventory import Reservation, Stock
from ecom.services.order import Order
from ecom.services.payment import Payment

SHOWN = 5  # problems shown in one line; `problems` holds all


@dataclass(frozen=True)
class Accounts:
    """What all parts of a shop hold."""

    orders: list[Order]
    stock: list[Stock]
    reservations: list[Reservation]
    payments: list[Payment]
    # Rows of the payment provider: order_id, outcome, amount (pence); None: nobody can see it.
    ledger: Sequence[Any] | None
    told: list[tuple[str, str]]  # (order, outcome) of each e-mail that reports an outcome
    emitted: Mapping[str, int]  # event type → how many distinct ones were emitted
    logged: Mapping[str, int]  # event type → how many the audit log holds
    twice: list[tuple[str, str]]  # (order, event type) that the audit log holds more than once
    awaited: Sequence[str] = ()  # what is under way, a sentence each


@dataclass(frozen=True)
class Books:
    """The verdict on a shop's books; its text is one line."""

    orders: int
    confirmed: int
    cancelled: int
    kept: int | None  # pence captured and not refunded; None: nobody can see it
    problems: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()  # what could not be seen: no promise about it was checked

    @property
    def balanced(self) -> bool:
        """Whether every promise holds that was checked."""
        return not self.problems

    def __str__(self) -> str:
        unseen = f"; not checked: {', '.join(self.unchecked)}" if self.unchecked else ""
        if self.problems:
            more = len(self.problems) - SHOWN
            rest = f"; and {more} more" * (more > 0)
            return "off: " + "; ".join(self.problems[:SHOWN]) + rest + unseen
        kept = "" if self.kept is None else f", {pounds(self.kept)} captured and kept"
        return (
            f"balanced: {self.orders:,} orders, {self.confirmed:,} confirmed, "
            f"{self.cancelled:,} cancelled{kept}{unseen}"
        )

    __repr__ = __str__


def pounds(pence: int) -> str:
    """`41250` → `£412.50`."""
    return f"{'-' * (pence < 0)}£{abs(pence) // 100:,}.{abs(pence) % 100:02}"


def close_books(accounts: Accounts, unchecked: tuple[str, ...] = ()) -> Books:
    """The verdict on these accounts, of which some promises could not be checked."""
    states = Counter(order.state for order in accounts.orders)
    return Books(
        orders=len(accounts.orders),
        confirmed=states["CONFIRMED"],
        cancelled=states["CANCELLED"],
        kept=None if accounts.ledger is None else _kept(accounts).total(),
        problems=tuple(judge(accounts)),
        unchecked=unchecked,
    )


def judge(accounts: Accounts) -> list[str]:
    """Every violation as one sentence; empty when the books balance."""
    rules = _judge_stock, _judge_ledger, _judge_orders, _judge_strangers, _judge_mails, _judge_audit
    return [violation for rule in rules for violation in rule(accounts)]


def _judge_stock(accounts: Accounts) -> Iterator[str]:
    owed: Counter[tuple[str, str]] = Counter()  # (sku, state) → units
    for row in accounts.reservations:
        if row.state in ("HELD", "COMMITTED"):
            owed.update({(sku, row.state): units for sku, units in row.units.items()})
    for shelf in accounts.stock:
        if min(shelf.available, shelf.held, shelf.committed) < 0:
            yield (
                f"{shelf.sku} is below zero: {shelf.available} available, "
                f"{shelf.held} held, {shelf.committed} committed"
            )
        if (now := shelf.available + shelf.held + shelf.committed) != shelf.initial:
            yield f"{shelf.sku} began with {shelf.initial} units and has {now}"
        for state, units in (("HELD", shelf.held), ("COMMITTED", shelf.committed)):
            if units != (theirs := owed.pop((shelf.sku, state), 0)):
                yield f"{shelf.sku} has {units} units {state}, its orders {theirs}"
    yield from (f"{sku} is {state} for orders but is no product" for sku, state in owed)


def _judge_ledger(accounts: Accounts) -> Iterator[str]:
    moved: dict[tuple[str, str], list[int]] = defaultdict(list)  # (outcome, order) → pence
    for row in accounts.ledger or ():
        moved[row.outcome, row.order_id].append(row.amount)
    for (outcome, order_id), amounts in moved.items():
        paid = moved.get(("captured", order_id), [])
        what = {"captured": "charged", "refunded": "refunded"}.get(outcome)
        if what and len(amounts) > 1:
            yield f"order {order_id} was {what} {len(amounts)} times"
        elif outcome == "refunded" and amounts != paid:
            yield f"order {order_id} paid {pounds(sum(paid))} and was refunded {pounds(*amounts)}"


def _judge_orders(accounts: Accounts) -> Iterator[str]:
    stock = {row.order_id: row.state for row in accounts.reservations}
    payments = {row.order_id: row.state for row in accounts.payments}
    kept = _kept(accounts)
    for order in accounts.orders:
        id_ = order.order_id
        states = stock.get(id_, "none"), payments.get(id_, "none")
        money = None if accounts.ledger is None else kept[id_]
        wrongs = _judge_order(order, *states, money, "; ".join(accounts.awaited))
        yield from (f"order {id_} is {order.state} but {wrong}" for wrong in wrongs)


def _judge_order(
    order: Order, stock: str, payment: str, kept: int | None, awaited: str
) -> Iterator[str]:
    if order.state == "CONFIRMED":
        if stock != "COMMITTED":
            yield f"its stock is {stock}, not COMMITTED"
        if payment != "CAPTURED":
            yield f"its payment is {payment}, not CAPTURED"
        if kept is not None and kept != order.total:
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
    elif awaited:
        yield f"still under way: {awaited}"
    else:
        yield "its hold has not run out" if stock == "HELD" else "nothing is under way"


def _judge_strangers(accounts: Accounts) -> Iterator[str]:
    """Stock or money that belongs to an order nobody placed."""
    known = {order.order_id for order in accounts.orders}
    parts = {
        "stock": {row.order_id for row in accounts.reservations},
        "a payment": {row.order_id for row in accounts.payments},
        "money at the provider": {row.order_id for row in accounts.ledger or ()},
        "an e-mail": {order_id for order_id, _ in accounts.told},
    }
    for what, ids in parts.items():
        yield from (f"{what} for order {id_}, which nobody placed" for id_ in ids - known)


def _judge_mails(accounts: Accounts) -> Iterator[str]:
    told = Counter(accounts.told)
    for order in accounts.orders:
        who, times = f"the customer of order {order.order_id}", told[order.order_id, order.state]
        if order.state in ("CONFIRMED", "CANCELLED") and times != 1:
            how = f"was told {times} times" if times else "was not told"
            yield f"{who} {how} that it is {order.state}"
        # A customer who cancels a confirmed order is rightly told both.
        confirmed = told[order.order_id, "CONFIRMED"]
        if order.state == "CANCELLED" and confirmed > 1:
            yield f"{who} was told {confirmed} times that it is CONFIRMED"
        if order.state == "CONFIRMED" and told[order.order_id, "CANCELLED"]:
            yield f"{who} was told that it is CANCELLED"


def _judge_audit(accounts: Accounts) -> Iterator[str]:
    for key in sorted({*accounts.emitted, *accounts.logged}):
        emitted, logged = accounts.emitted.get(key, 0), accounts.logged.get(key, 0)
        if emitted != logged:
            yield f"{emitted} {key} were emitted, {logged} are in the audit log"
    for order_id, key in accounts.twice:
        yield f"order {order_id} has more than one {key} in the audit log"


def _kept(accounts: Accounts) -> Counter[str]:
    """Order → pence the provider captured and did not refund."""
    signs = {"captured": 1, "refunded": -1}
    kept: Counter[str] = Counter()
    for row in accounts.ledger or ():
        kept[row.order_id] += signs.get(row.outcome, 0) * row.amount
    return kept
