"""Rows that only another release can read, as after a way back: set aside alone."""

import sqlite3
from contextlib import closing

import pytest
from helpers import EXAMPLES, Hand, delivery, wire
from msgspec.structs import replace
from tower import dead_letters

from ecom.runtime.messages import Perform, Tick
from ecom.runtime.service import LEASE
from ecom.runtime.tables import MACHINERY, Effect, Inbox, Timer
from ecom.services.inventory import Reservation, Stock
from ecom.services.order import Order
from ecom.stores.base import Transaction
from ecom.stores.sqlite import SqliteStore, prepare
from ecom_lab.shop import SAGA

HEADERS, BODY = wire(EXAMPLES["inventory.processed"], "event-9")


@pytest.fixture
def hand():
    return Hand(SAGA.services["payment"])


def stored(hand, row):
    transaction = Transaction(hand.store)
    transaction[type(row)].put(row)
    transaction.commit()
    hand.restart()


def is_well(hand):
    """Whether the next message is handled as ever."""
    hand.give(Tick(), delivery(EXAMPLES["order.cancelled"]))
    return hand.row(Inbox, "event-1").state == "done"


@pytest.mark.parametrize(("type_", "body"), [("Chargeback", b"{}"), ("Capture", b'{"sum": 1}')])
def test_an_effect_is_left_to_others_for_some_tries_and_then_set_aside(hand, type_, body):
    """It is of a type, or a shape, that is not known here; meanwhile all else goes on."""
    stored(hand, Effect(1, "x", type_, "1001", "new/1001", body, "c", "", 0.0, "1"))
    assert is_well(hand)
    row = hand.row(Effect, 1)
    assert (row.state, row.attempts, row.owner) == ("pending", 1, "1")
    assert row.due < LEASE
    for _ in range(30):
        assert not [out for out in hand.wait(60) if isinstance(out, Perform)]
    assert hand.row(Effect, 1).state == "dead"
    assert [letter.headers["dead-exception"] for letter in dead_letters(hand)] == [row.last_error]


def test_a_deadline_waits_for_the_release_that_knows_it(hand):
    """It never gives up, and does not come again in each step."""
    timer = Timer("PickupDeadline/1001", "PickupDeadline", "1001", 0.0, b"{}", "c", "")
    stored(hand, timer)
    hand.wait(0)
    assert is_well(hand)
    assert hand.row(Timer, timer.id).due == hand.now + LEASE
    assert dead_letters(hand) == []


def test_a_message_that_waits_is_set_aside_at_once_as_one_that_arrives_would_be(hand):
    """Its dead letter has the body, for the release that can read it."""
    body = BODY.replace(b'"total"', b'"sum"')
    stored(hand, Inbox("event-9", "inventory.processed", "1001", "waiting", 0.0, 2, 0.0,
                       "ValueError: x", HEADERS, body))  # fmt: skip
    assert is_well(hand)
    row = hand.row(Inbox, "event-9")
    assert (row.state, row.attempts, row.due, row.body) == ("dead", 3, None, None)
    (letter,) = dead_letters(hand)
    assert (letter.body, letter.headers["dead-reason"]) == (body, "malformed")


def test_a_row_of_the_service_fails_the_messages_about_it_and_no_others(tmp_path):
    """Although all rows that a batch may want are read at once."""
    hand = Hand(SAGA.services["notification"])
    prepare(tmp_path / "told.db", (*hand.service.rows, *MACHINERY))
    with closing(sqlite3.connect(tmp_path / "told.db")) as db:
        db.execute("INSERT INTO told (order_id, mails) VALUES ('1', '[{}]')")
        db.commit()
    with closing(SqliteStore(tmp_path / "told.db")) as hand.store:
        hand.restart()
        confirmed = EXAMPLES["order.confirmed"]
        hand.give(*(delivery(replace(confirmed, order_id=id_), f"event-{id_}") for id_ in "12"))
        states = [hand.row(Inbox, f"event-{id_}").state for id_ in "12"]
        assert states == ["waiting", "done"]


@pytest.mark.parametrize(
    ("service", "table", "column", "event"),
    [
        ("order", "orders", "lines", "inventory.committed"),
        ("inventory", "reservations", "units", "payment.processed"),
    ],
)
def test_what_another_release_keeps_in_json_stays(tmp_path, service, table, column, event):
    """Of a row that this one changes, columns that it has not changed are not written again."""
    hand = Hand(SAGA.services[service])
    prepare(tmp_path / "its.db", (*hand.service.rows, *MACHINERY))
    order = Order("1001", "a@example.com", "4242", 500, "PENDING", None, 0.0, None, (), 1001)
    held = Reservation("1001", "HELD", "a@example.com", {"TEA-COSY": 2}, 1.0, 0.0)
    newer = {"lines": '[{"sku":"A","quantity":1,"unit_price":5,"gift":true}]'}
    newer |= {"units": '{"TEA-COSY":2 }'}
    with closing(SqliteStore(tmp_path / "its.db")) as hand.store:
        stored(hand, order if service == "order" else held)
        if service == "inventory":
            stored(hand, Stock("TEA-COSY", 2, 0, 2))
        with closing(sqlite3.connect(tmp_path / "its.db")) as db:
            db.execute(f"UPDATE {table} SET {column} = ?", (newer[column],))
            db.commit()
        hand.give(delivery(EXAMPLES[event]))
    with closing(sqlite3.connect(tmp_path / "its.db")) as db:
        found = db.execute(f"SELECT state, {column} FROM {table}").fetchone()
    assert found in {("CONFIRMED", newer["lines"]), ("COMMITTED", newer["units"])}
