"""Payment: money is captured once at most, and given back once whenever an order is undone."""

import pytest
from helpers import EXAMPLES, Hand, published, requested

from ecom.runtime.messages import Performed
from ecom.services.payment import Capture, Captured, Declined, Payment, Refund, Refunded
from ecom_lab.shop import SAGA

HELD, CANCELLED = EXAMPLES["inventory.processed"], EXAMPLES["order.cancelled"]
GIVE_BACK = Refund("1001", 2500, "capture/1001/command-1")


@pytest.fixture
def till():
    return Hand(SAGA.services["payment"])


def result(hand, seq, result):
    """What the provider's answer leads to: events said, effects asked for."""
    out = hand.give(Performed(seq, result))
    return published(out), requested(out)


def paid(hand):
    return hand.row(Payment, "1001").state


def test_money_is_captured_once_stock_is_held(till):
    assert till.makes(HELD) == [Capture("1001", 2500, "4242424242424242")]
    assert paid(till) == "PENDING"
    assert result(till, 1, Captured("1001")) == (["payment.processed"], [])
    assert paid(till) == "CAPTURED"
    assert till.makes(HELD, "again") == []


def test_a_declined_card_fails_the_payment(till):
    till.makes(HELD)
    assert result(till, 1, Declined("1001", "card declined")) == (["payment.failed"], [])
    assert paid(till) == "DECLINED"
    assert till.makes(CANCELLED, "cancelled") == []
    assert paid(till) == "DECLINED"


def test_captured_money_is_refunded_once_when_the_order_is_cancelled(till):
    till.makes(HELD)
    result(till, 1, Captured("1001"))
    assert till.makes(CANCELLED, "a") == [GIVE_BACK]
    assert till.makes(CANCELLED, "b") == []
    assert paid(till) == "REFUNDING"
    assert result(till, 2, Refunded("1001")) == (["payment.refunded"], [])
    assert paid(till) == "REFUNDED"
    assert till.makes(CANCELLED, "c") == []


def test_money_that_arrives_after_the_cancellation_is_refunded_once(till):
    till.makes(HELD)
    assert till.makes(CANCELLED, "a") == []
    assert result(till, 1, Captured("1001")) == ([], [GIVE_BACK])
    assert result(till, 2, Refunded("1001")) == (["payment.refunded"], [])


def test_a_decline_that_arrives_after_the_cancellation_says_nothing(till):
    till.makes(HELD)
    till.makes(CANCELLED, "a")
    assert result(till, 1, Declined("1001", "card declined")) == ([], [])
    assert paid(till) == "CANCELLED"


def test_a_cancellation_that_overtakes_the_hold_leaves_a_tombstone(till):
    """No money is asked for afterwards."""
    assert till.makes(CANCELLED, "a") == []
    assert till.makes(HELD, "b") == []
    assert paid(till) == "CANCELLED"
