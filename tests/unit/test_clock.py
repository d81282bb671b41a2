"""A machine's clock that is set lets nothing happen, and keeps nothing from happening."""

import pytest
from helpers import EXAMPLES, Hand, delivery, published, steady
from hypothesis import given
from hypothesis import strategies as st

from ecom.process.clock import LEAP, SLEW, Clock
from ecom.runtime.messages import Command, Publish, Rejected, Tick
from ecom.runtime.retention import RETENTION
from ecom.runtime.tables import Inbox, Outbox, Timer
from ecom.services.inventory import Stock
from ecom.services.order import PlaceOrder
from ecom.stores.base import Transaction
from ecom_lab.shop import SAGA

DAY = 86_400.0
ORDER = EXAMPLES["order.created"]


class Machine:
    """A machine whose clock may be set."""

    def __init__(self):
        self.passed, self.set = 1_000.0, 1e9
        self.clock = Clock(lambda: self.passed + self.set, lambda: self.passed)

    def run(self, hand, seconds, ticks=10):
        """The service's outputs, while this time passes."""
        out = []
        for _ in range(ticks):
            self.passed += seconds / ticks
            hand.now = self.clock()
            out += hand.give(Tick())
        return out


@pytest.fixture
def machine():
    return Machine()


@steady
@given(st.lists(st.tuples(st.floats(0, 3600), st.floats(-1e9, 1e9)), max_size=20))
def test_time_passes_as_it_does(changes):
    """Within one in a hundred, and never back, however often the clock is set."""
    machine = Machine()
    before = machine.clock()
    for seconds, leap in changes:
        machine.passed += seconds
        machine.set += leap
        now = machine.clock()
        assert abs(now - before - seconds) <= SLEW * seconds + 1e-5
        before = now


def test_a_leap_is_said_once_and_followed_slowly(machine, caplog):
    """A small one, as time servers make, is followed without a word."""
    machine.set += LEAP / 2
    machine.passed += LEAP / SLEW
    assert machine.clock() == pytest.approx(machine.passed + machine.set)
    assert caplog.text == ""
    machine.set += 60
    for _ in range(100):
        machine.passed += 100.0
        machine.clock()
    assert len(caplog.records) == 1
    assert "leapt by +60 s" in caplog.text
    assert machine.clock() == pytest.approx(machine.passed + machine.set)


@pytest.mark.parametrize("leap", [901.0, 8 * DAY, -DAY])
def test_no_hold_expires_and_nothing_is_forgotten(machine, leap):
    """For one tick or for good: what is due is what time has really passed for."""
    hand = Hand(SAGA.services["inventory"])
    tx = Transaction(hand.store)
    tx[Stock].put(Stock("TEA-COSY", 10, 10))
    tx.commit()
    hand.now = machine.clock()
    hand.give(delivery(ORDER))
    timers, handled = hand.rows(Timer), hand.rows(Inbox)
    assert len(timers) == len(handled) == 1
    machine.set += leap
    assert published(machine.run(hand, 60.0)) == []
    assert (hand.rows(Timer), hand.rows(Inbox)) == (timers, handled)


def test_what_came_back_is_sent_again_soon(machine):
    """Though the clock goes back by a day."""
    hand = Hand(SAGA.services["order"])
    hand.now = machine.clock()
    out = hand.give(Command("command-1", PlaceOrder(ORDER.customer, ORDER.card, ORDER.lines)))
    (seq,) = [it.row.seq for it in out if isinstance(it, Publish)]
    hand.give(Rejected([seq]))
    machine.set -= DAY
    assert len([it for it in machine.run(hand, 2.0) if isinstance(it, Publish)]) == 1


def test_no_wait_is_longer_than_it_can_be(machine):
    """Of a row that a process put off while its clock was a day ahead, a later one takes care."""
    hand = Hand(SAGA.services["order"])
    hand.now = machine.clock() + DAY
    out = hand.give(Command("command-1", PlaceOrder(ORDER.customer, ORDER.card, ORDER.lines)))
    hand.give(Rejected([it.row.seq for it in out if isinstance(it, Publish)], "too large"))
    hand.now = machine.clock()
    hand.restart()
    machine.run(hand, 60.0)
    assert all(row.due < machine.clock() + RETENTION / 100 for row in hand.rows(Outbox))
    assert [it for it in machine.run(hand, 3_600.0) if isinstance(it, Publish)]
