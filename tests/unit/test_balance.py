"""The books: balanced when every promise holds, and off in one clear sentence when one does not."""

from dataclasses import replace

import pytest
from msgspec import structs

from ecom.sandbox.gateway import Movement
from ecom.services.inventory import Reservation, Stock
from ecom.services.order import Order
from ecom.services.payment import Payment
from ecom.shop.balance import Accounts, close_books, judge

ADA = "ada@example.com"


def order(id_, state, total, reason):
    return Order(id_, ADA, "4242", total, state, reason, 5.0, None, (), int(id_))


def reservation(id_, state, units):
    return Reservation(id_, state, ADA, units, None, 5.0)


def payment(id_, state, amount):
    return Payment(id_, state, ADA, amount, 5.0)


def movement(id_, kind, outcome, amount):
    return Movement(f"{kind}/{id_}", kind, id_, amount, outcome, 5.0)


GOOD = Accounts(
    orders=[order("1001", "CONFIRMED", 4125, ""), order("1002", "CANCELLED", 900, "hold expired")],
    stock=[Stock("KITE", 5, 2, 0, 3), Stock("GLOBE", 1, 1, 0, 0)],
    reservations=[
        reservation("1001", "COMMITTED", {"KITE": 3}),
        reservation("1002", "EXPIRED", {"GLOBE": 1}),
    ],
    payments=[payment("1001", "CAPTURED", 4125), payment("1002", "REFUNDED", 900)],
    ledger=[
        movement("1001", "capture", "captured", 4125),
        movement("1002", "capture", "captured", 900),
        movement("1002", "refund", "refunded", 900),
    ],
    told=[("1001", "CONFIRMED"), ("1002", "CANCELLED")],
    emitted={"order.created": 2, "order.confirmed": 1},
    logged={"order.created": 2, "order.confirmed": 1},
    twice=[],
)


def changed(part: str, at: int, **changes):
    """GOOD with one row changed."""
    rows = list(getattr(GOOD, part))
    rows[at] = structs.replace(rows[at], **changes)
    return replace(GOOD, **{part: rows})


def more(part: str, *rows):
    """GOOD with rows added."""
    return replace(GOOD, **{part: [*getattr(GOOD, part), *rows]})


def less(part: str, at: int):
    """GOOD without one row."""
    rows = getattr(GOOD, part)
    return replace(GOOD, **{part: rows[:at] + rows[at + 1 :]})


def test_balanced_books_say_so_in_one_line():
    """One confirmed and one refunded order, all in place: what was kept is what was confirmed."""
    books = close_books(GOOD)
    assert books.balanced
    assert repr(books) == "balanced: 2 orders, 1 confirmed, 1 cancelled, £41.25 captured and kept"


BROKEN = {
    "KITE is below zero: -1 available": changed("stock", 0, available=-1),
    "KITE began with 5 units and has 6": changed("stock", 0, available=3),
    "KITE has 4 units COMMITTED, its orders 3": changed("stock", 0, available=1, committed=4),
    "GLOBE has 1 units HELD, its orders 0": changed("stock", 1, available=0, held=1),
    "UNICORN is COMMITTED for orders but is no product": changed(
        "reservations", 0, units={"KITE": 3, "UNICORN": 1}
    ),
    "order 1001 is CONFIRMED but its stock is RELEASED, not COMMITTED": changed(
        "reservations", 0, state="RELEASED"
    ),
    "order 1001 is CONFIRMED but its stock is none": less("reservations", 0),
    "order 1001 is CONFIRMED but its payment is none": less("payments", 0),
    "order 1001 is CONFIRMED but of its £41.25 the shop keeps £0.00": less("ledger", 0),
    "order 1001 is CONFIRMED but of its £41.25 the shop keeps £0.01": changed(
        "ledger", 0, amount=1
    ),
    "order 1002 is CANCELLED but £9.00 was not refunded": less("ledger", 2),
    "order 1002 is CANCELLED but its payment is CAPTURED": changed("payments", 1, state="CAPTURED"),
    "order 1002 is CANCELLED but its payment is REFUNDING": changed(
        "payments", 1, state="REFUNDING"
    ),
    "order 1002 is CANCELLED but its stock is HELD": changed("reservations", 1, state="HELD"),
    "order 1002 is CANCELLED but nobody says why": changed("orders", 1, reason=None),
    "order 1001 is PENDING but nothing is under way": changed("orders", 0, state="PENDING"),
    "order 1001 is PENDING but still under way: inventory has not handled 1 order.created": replace(
        changed("orders", 0, state="PENDING"), awaited=["inventory has not handled 1 order.created"]
    ),
    "order 1001 was charged 2 times": more("ledger", movement("1001", "capture", "captured", 4125)),
    "order 1002 was refunded 2 times": more("ledger", movement("1002", "refund", "refunded", 900)),
    "order 1002 paid £9.00 and was refunded £8.99": changed("ledger", 2, amount=899),
    "stock for order 7, which nobody placed": more("reservations", reservation("7", "HELD", {})),
    "a payment for order 7, which nobody placed": more("payments", payment("7", "CAPTURED", 1)),
    "money at the provider for order 7, which nobody placed": more(
        "ledger", movement("7", "capture", "captured", 1)
    ),
    "an e-mail for order 7, which nobody placed": more("told", ("7", "CONFIRMED")),
    "the customer of order 1001 was not told that it is CONFIRMED": less("told", 0),
    "the customer of order 1002 was told 2 times that it is CANCELLED": more(
        "told", ("1002", "CANCELLED")
    ),
    "the customer of order 1001 was told that it is CANCELLED": more("told", ("1001", "CANCELLED")),
    "the customer of order 1002 was told 2 times that it is CONFIRMED": more(
        "told", ("1002", "CONFIRMED"), ("1002", "CONFIRMED")
    ),
    "2 order.created were emitted, 1 are in the audit log": replace(
        GOOD, logged={"order.created": 1, "order.confirmed": 1}
    ),
    "0 order.cancelled were emitted, 1 are in the audit log": replace(
        GOOD, logged={**GOOD.logged, "order.cancelled": 1}
    ),
    "order 1001 has more than one order.confirmed in the audit log": replace(
        GOOD, twice=[("1001", "order.confirmed")]
    ),
}


@pytest.mark.parametrize(("problem", "accounts"), BROKEN.items(), ids=BROKEN)
def test_each_broken_promise_is_named(problem, accounts):
    """Whatever single thing is wrong, one sentence names it, and the books are off."""
    books = close_books(accounts)
    assert not books.balanced
    assert str(books).startswith("off: ")
    assert any(problem in sentence for sentence in books.problems), books.problems


def test_a_customer_who_cancels_a_confirmed_order_rightly_hears_both():
    """Told CONFIRMED once and CANCELLED once is no contradiction for a cancelled order."""
    assert judge(more("told", ("1002", "CONFIRMED"))) == []


def test_an_order_waiting_for_its_deadline_says_so():
    """Stock held and payment silent: the hold's deadline will end the order, but has not yet."""
    accounts = replace(
        GOOD,
        orders=[order("1001", "PENDING", 4125, "")],
        stock=[Stock("KITE", 5, 2, 3, 0)],
        reservations=[reservation("1001", "HELD", {"KITE": 3})],
        payments=[],
        ledger=[],
        told=[],
    )
    assert judge(accounts) == ["order 1001 is PENDING but its hold has not run out"]


def test_many_problems_still_make_one_line():
    """The text shows the first few and counts the rest; `problems` has them all."""
    lost = [order(str(n), "CONFIRMED", 1, "") for n in range(2000, 2020)]
    books = close_books(more("orders", *lost))
    assert len(books.problems) == 4 * len(lost)
    assert str(books).endswith("; and 75 more")
    assert "\n" not in str(books)


def test_what_nobody_sees_is_named_and_not_assumed():
    """Without the provider's ledger, what else is wrong is still found, and no money is counted."""
    unseen = replace(GOOD, ledger=None)
    books = close_books(unseen, ("the ledger",))
    assert str(books) == ("balanced: 2 orders, 1 confirmed, 1 cancelled; not checked: the ledger")
    off = replace(changed("payments", 0, state="PENDING"), ledger=None)
    assert judge(off) == ["order 1001 is CONFIRMED but its payment is PENDING, not CAPTURED"]
    assert str(close_books(off, ("the ledger",))).endswith("; not checked: the ledger")
