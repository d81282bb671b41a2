"""Replicas of one service over a store that has several writers at once number and count for
themselves: none waits for another's row."""

import pytest
from helpers import EXAMPLES, Hand
from msgspec import json

from ecom.runtime import gap_detection
from ecom.runtime.messages import Announce, Command, Confirmed, Delivery, Publish, TallyDue
from ecom.runtime.tables import Received
from ecom.services.order import PlaceOrder
from ecom.stores.base import Counter
from ecom.stores.memory import MemoryStore
from ecom_lab.shop import SAGA

ORDER = EXAMPLES["order.created"]
WISH = PlaceOrder(ORDER.customer, ORDER.card, ORDER.lines)


class SharedStore(MemoryStore):
    is_shared = True


def pair(name):
    """Two replicas of a service, over one database."""
    store = SharedStore()
    return [Hand(SAGA.services[name], replica=it, store=store) for it in ("1", "2")]


@pytest.fixture
def orders():
    return pair("order")


@pytest.fixture
def logs():
    return pair("audit")


def place(hand, id_):
    """A customer orders; the event as it was published."""
    (row,) = [out.row for out in hand.give(Command(id_, WISH)) if isinstance(out, Publish)]
    hand.give(Confirmed([row.seq]))
    return row


def arrive(hand, *rows):
    its = (Delivery(1, row.seq, "shop.events", row.type, row.headers, row.body) for row in rows)
    hand.give(*its)


def said(hand, *inputs):
    """What a replica announces, as it is delivered."""
    outputs = [out for out in hand.give(*inputs) if isinstance(out, Announce)]
    return [Delivery(1, 1, "shop.events", out.key, None, out.body) for out in outputs]


def tally(hand):
    """What it says when it has something new to say."""
    hand.now += 10
    while not (told := said(hand, TallyDue())):
        pass
    return told


def counters(hand, prefix):
    return {row.name: row.value for row in hand.rows(Counter) if row.name.startswith(prefix)}


def test_each_numbers_its_events_in_a_row_of_its_own(orders):
    """The first one as in earlier releases; the other adds its name."""
    rows = [place(orders[n % 2], f"c{n}") for n in range(4)]
    told = [row.headers["ce-sequence"] for row in rows]
    assert told == ["0000000001", "0000000001@2", "0000000002", "0000000002@2"]
    name = "emitted:order.created"
    assert counters(orders[0], "emitted") == {name: 2, f"{name}@2": 2}


def test_what_a_broker_loses_of_anyones_events_is_sent_again_by_any_replica(orders, logs):
    """Of the second one, which may be gone by then, as of the first."""
    rows = [place(orders[n % 2], f"c{n}") for n in range(6)]
    arrive(logs[0], *rows[:3], *rows[4:])
    said(logs[0], *tally(orders[0]))
    (question,) = said(logs[0], *tally(orders[0]))
    assert json.decode(question.body) == {"missing": {"order.created@2": [[2, 2]]}}
    said(orders[0], question)
    again = [out.row for out in orders[0].wait(1.0) if isinstance(out, Publish)]
    assert [row.id for row in again] == [rows[3].id]
    arrive(logs[0], *again)
    assert not [it for _ in range(3) for it in said(logs[0], *tally(orders[0]))]


def test_each_writes_down_what_has_come_to_it_and_all_know_it(orders, logs):
    """Messages go to listeners in turns; what none of them has seen is missing, and all else
    not."""
    rows = [place(orders[0], f"c{n}") for n in range(9)]
    for n, row in enumerate(rows[:4] + rows[5:]):
        arrive(logs[n % 2], row)
    ours, theirs = "order.created", "order.created/2"
    assert {row.type: row.came for row in logs[0].rows(Received)} == {
        ours: [(1, 1), (3, 3), (6, 6), (8, 8)],
        theirs: [(2, 2), (4, 4), (7, 7), (9, 9)],
    }
    said(logs[0], *tally(orders[0]))
    (question,) = said(logs[0], *tally(orders[0]))
    assert json.decode(question.body) == {"missing": {ours: [[5, 5]]}}


def test_a_row_stays_small_as_it_takes_up_what_siblings_have_written(orders, logs, monkeypatch):
    """When it has many gaps; what nobody has seen stays one."""
    monkeypatch.setattr(gap_detection, "SCATTERED", 3)
    rows = [place(orders[0], f"c{n}") for n in range(9)]
    for n, row in enumerate(rows[:4] + rows[5:]):
        arrive(logs[n % 2], row)
    assert {row.type: row.came for row in logs[0].rows(Received)} == {
        "order.created": [(1, 4), (6, 8)],
        "order.created/2": [(1, 4), (6, 9)],
    }


def test_a_restored_producers_numbers_come_again_to_all_listeners(orders, logs):
    """Its database is that of before; neither listener takes what comes for what came then."""
    arrive(logs[0], place(orders[0], "c0"))
    copy = orders[0].store.snapshot()
    for n in range(1, 5):
        arrive(logs[n % 2], place(orders[0], f"c{n}"))
    orders[0].store.restore(copy)
    orders[0].restart()
    for _ in range(2):
        assert said(logs[0], *tally(orders[0])) == []
    place(orders[0], "lost")
    said(logs[0], *tally(orders[0]))
    (question,) = said(logs[0], *tally(orders[0]))
    assert json.decode(question.body) == {"missing": {"order.created": [[2, 2]]}}
