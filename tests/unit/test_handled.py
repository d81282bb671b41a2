"""What a service has handled is written down in order, in the transaction that handled it."""

import pytest
from helpers import EXAMPLES, Hand, delivery
from tower import Alarm, Ring, Rung, Tower, order

from ecom.contract.envelope import derived_id
from ecom.runtime.messages import Command, Performed, Tick
from ecom.runtime.tables import MACHINERY, Handled
from ecom.stores.sqlite import SqliteStore, prepare
from ecom_lab.shop import SAGA


@pytest.fixture(params=["sqlite", "memory"])
def tower(request, tmp_path):
    tower = Tower()
    if request.param == "sqlite":
        prepare(tmp_path / "tower.db", (*tower.hand.service.rows, *MACHINERY))
        tower.hand.store = SqliteStore(tmp_path / "tower.db")
    tower.hand.restart()
    yield tower
    if request.param == "sqlite":
        tower.hand.store.close()


def noted(hand):
    """The notes of each transaction, of an event its id and of others id and type."""
    return [
        [it if isinstance(it, str) else (it[0], it[1]) for it in row.messages]
        for row in hand.rows(Handled)
    ]


def test_every_kind_of_message_is_noted_as_it_can_be_found_again(tower):
    """Events by their ids; what is in no log with its type and contents, and its cause."""
    hand = tower.hand
    hand.now = 7.0
    hand.give(order(1), Command("command-1", Ring("2")))
    hand.give(Performed(1, Rung("1")))
    hand.wait(3600)
    alarm = derived_id("command-1", "Alarm/1")
    assert noted(hand) == [
        ["created-1", ("command-1", "Ring")],
        [(1, "Rung")],
        [(alarm, "Alarm")],
    ]
    assert [(row.number, row.at) for row in hand.rows(Handled)] == [(1, 7.0), (2, 7.0), (3, 3607.0)]
    last = hand.rows(Handled)[-1].messages[0][2]
    assert last in (Alarm("1"), {"order_id": "1"})


def test_only_what_was_handled_is_noted(tower):
    """Neither what failed, nor what came again, nor a transaction in which nothing was handled."""
    hand = tower.hand
    tower.trouble["1"] = [ValueError("cracked")] * 9
    hand.give(order(1), order(2), order(2))
    hand.give(order(2), Tick())
    hand.give(Command("command-3", Ring("1")))
    for _ in range(20):
        hand.wait(10)
    assert noted(hand) == [["created-2"]]


def test_a_message_that_was_tried_again_stands_where_it_was_handled(tower):
    """Not where it came first, nor where its row lies in the file: behind what it came after."""
    hand = tower.hand
    tower.trouble["1"] = [ValueError("cracked")]
    hand.give(order(1))
    hand.now += 60.0
    hand.give(order(2), Tick(), order(3))
    assert noted(hand) == [["created-2", "created-1", "created-3"]]


def test_whoever_hears_everything_notes_nothing():
    """It keeps the log, which is in an order of its own."""
    hand = Hand(SAGA.services["audit"])
    hand.saga = SAGA
    hand.restart()
    hand.give(delivery(EXAMPLES["order.created"]))
    assert hand.rows(Handled) == []
