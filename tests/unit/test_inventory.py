"""Inventory: holds stock for whole orders, and is the arbiter of payment and deadline."""

from itertools import permutations

import pytest
from helpers import EXAMPLES, Hand, published
from msgspec.structs import replace

from ecom.events import Line
from ecom.runtime.tables import Timer
from ecom.sagas.choreography import choreography
from ecom.services.inventory import Reservation, Stock
from ecom.stores.base import Transaction

CREATED, PAID = EXAMPLES["order.created"], EXAMPLES["payment.processed"]
CANCELLED = EXAMPLES["order.cancelled"]


@pytest.fixture
def shelves():
    """The inventory service with 3 tea cosies and 1 top hat."""
    hand = Hand(choreography(hold_seconds=60).services["inventory"])
    transaction = Transaction(hand.store)
    transaction[Stock].put(Stock("TEA-COSY", 3, 3))
    transaction[Stock].put(Stock("TOP-HAT", 1, 1))
    transaction.commit()
    return hand


def stock(hand, sku="TEA-COSY"):
    """Available, held, committed; checks that together they are what there was."""
    row = hand.row(Stock, sku)
    assert row.available + row.held + row.committed == row.initial
    assert min(row.available, row.held, row.committed) >= 0
    return row.available, row.held, row.committed


def state(hand, order_id="1001"):
    return hand.row(Reservation, order_id).state


def test_stock_is_held_until_a_deadline(shelves):
    assert shelves.handle(CREATED) == ["inventory.processed"]
    assert (stock(shelves), state(shelves)) == ((1, 2, 0), "HELD")
    assert [timer.due for timer in shelves.rows(Timer)] == [60.0]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([("TEA-COSY", 4)], "insufficient stock"),
        ([("TEA-COSY", 1), ("TOP-HAT", 2)], "insufficient stock"),
        ([("TEA-COSY", 2), ("TEA-COSY", 2)], "insufficient stock"),
        ([("TEA-COSY", 1), ("NO-SUCH", 1)], "unknown product"),
    ],
    ids=["too many", "the second line", "the same product twice", "unknown"],
)
def test_an_order_is_held_whole_or_not_at_all(shelves, lines, reason, caplog):
    """One line that cannot be held, also in sum over lines, and nothing of the order is."""
    with caplog.at_level("INFO"):
        lines = tuple(Line(sku, units) for sku, units in lines)
        assert shelves.handle(replace(CREATED, lines=lines)) == ["inventory.failed"]
    assert (stock(shelves), stock(shelves, "TOP-HAT")) == ((3, 0, 0), (1, 0, 0))
    assert state(shelves) == "REJECTED"
    assert "Failed to reserve stock" in caplog.text
    assert reason in {record.__dict__.get("reason") for record in caplog.records}


def test_several_lines_are_held_in_sum(shelves):
    lines = (Line("TEA-COSY", 1), Line("TOP-HAT", 1), Line("TEA-COSY", 2))
    assert shelves.handle(replace(CREATED, lines=lines)) == ["inventory.processed"]
    assert (stock(shelves), stock(shelves, "TOP-HAT")) == ((0, 3, 0), (0, 1, 0))


def test_the_last_unit_goes_to_one_of_two(shelves):
    hats = [replace(CREATED, order_id=str(n), lines=(Line("TOP-HAT", 1),)) for n in (1, 2)]
    assert [shelves.handle(hat, hat.order_id) for hat in hats] == [
        ["inventory.processed"],
        ["inventory.failed"],
    ]
    assert stock(shelves, "TOP-HAT") == (0, 1, 0)


def test_payment_in_time_commits_the_stock_and_ends_the_deadline(shelves):
    shelves.handle(CREATED, "a")
    assert shelves.handle(PAID, "b") == ["inventory.committed"]
    assert (stock(shelves), state(shelves)) == ((1, 0, 2), "COMMITTED")
    assert shelves.rows(Timer) == []
    assert published(shelves.wait(1_000)) == []


def test_a_deadline_before_payment_puts_the_stock_back(shelves):
    """The arbiter has decided: payment that comes later does nothing here."""
    shelves.handle(CREATED, "a")
    assert published(shelves.wait(59.9)) == []
    assert published(shelves.wait(0.1)) == ["inventory.expired"]
    assert (stock(shelves), state(shelves)) == ((3, 0, 0), "EXPIRED")
    assert shelves.handle(PAID, "b") == []
    assert shelves.handle(CANCELLED, "c") == []
    assert (stock(shelves), state(shelves)) == ((3, 0, 0), "EXPIRED")


@pytest.mark.parametrize("before", [[CREATED], [CREATED, PAID]], ids=["held", "committed"])
def test_cancelling_puts_held_and_committed_stock_back(shelves, before):
    for n, event in enumerate(before):
        shelves.handle(event, str(n))
    assert shelves.handle(CANCELLED, "c") == ["inventory.released"]
    assert (stock(shelves), state(shelves)) == ((3, 0, 0), "RELEASED")
    assert shelves.rows(Timer) == []
    assert shelves.handle(CANCELLED, "d") == []
    assert published(shelves.wait(1_000)) == []


def test_a_cancellation_that_overtakes_the_order_leaves_a_tombstone(shelves):
    assert shelves.handle(CANCELLED, "a") == []
    assert shelves.handle(CREATED, "b") == []
    assert (stock(shelves), state(shelves)) == ((3, 0, 0), "CANCELLED")
    assert shelves.handle(PAID, "c") == []


def test_a_rejected_order_that_is_cancelled_has_nothing_to_give_back(shelves):
    shelves.handle(replace(CREATED, lines=(Line("TEA-COSY", 9),)), "a")
    assert shelves.handle(CANCELLED, "b") == []
    assert stock(shelves) == (3, 0, 0)


@pytest.mark.parametrize("events", list(permutations([CREATED, PAID, CANCELLED])))
def test_whatever_order_messages_come_in_a_cancelled_order_holds_nothing(shelves, events):
    """Payment that comes before the order it is for is tried again until it has come."""
    for n, event in enumerate(events):
        shelves.handle(event, str(n))
    for _ in range(10):
        shelves.wait(10)
    assert stock(shelves) == (3, 0, 0)
