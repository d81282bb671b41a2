"""A deadline never overtakes what was in the queue before it; nor does it wait for ever."""

import pytest
from helpers import EXAMPLES, Hand, delivery, published
from msgspec.structs import replace

from ecom.runtime.messages import Announce, Delivery, PublisherDown, PublisherUp, Tick
from ecom.runtime.runtime import Runtime
from ecom.runtime.service import LEASE
from ecom.runtime.tables import Inbox, Timer
from ecom.services.inventory import Reservation, Stock
from ecom.stores.base import Transaction
from ecom_lab.shop import SAGA

HOLD = 900.0
PAID = delivery(EXAMPLES["payment.processed"], "paid")
EXPIRED, COMMITTED = ["inventory.expired"], ["inventory.committed"]


@pytest.fixture
def shelves():
    """Inventory, which holds the stock of order 1001."""
    hand = Hand(SAGA.services["inventory"])
    transaction = Transaction(hand.store)
    transaction[Stock].put(Stock("TEA-COSY", 5, 5))
    transaction.commit()
    hand.handle(EXAMPLES["order.created"], "created")
    return hand


@pytest.fixture
def sibling(shelves):
    """A second replica, which has connected as well."""
    return replica(shelves, "2")


def replica(hand, name):
    other = Hand(hand.service)
    other.store, other.now = hand.store, hand.now
    other.runtime = Runtime(hand.saga, hand.service.name, hand.store, name, lambda: 0.5)
    other.give(PublisherUp())
    return other


def late(*hands):
    """The hold has run out meanwhile."""
    for hand in hands:
        hand.now = HOLD + 1
    for hand in hands[1:]:
        hand.give(PublisherDown())  # and so it is known to be alive
        hand.give(PublisherUp())


def echoes(outputs):
    """What was published to ourselves, as it will be delivered."""
    return [
        Delivery(1, 1, "shop.events", it.key, {}, it.body)
        for it in outputs
        if isinstance(it, Announce)
    ]


def test_who_paid_in_time_is_never_expired_whatever_inventory_was_doing(shelves):
    """It was down past the deadline, and the payment lay in its queue: that is handled first."""
    late(shelves)
    shelves.restart()
    asked = shelves.give(Tick())
    assert (published(asked), len(echoes(asked))) == ([], 1)
    assert published(shelves.give(PAID, *echoes(asked), Tick())) == COMMITTED
    assert shelves.row(Reservation, "1001").state == "COMMITTED"
    assert shelves.rows(Timer) == []


def test_who_paid_too_late_is_expired(shelves):
    """The payment came into the queue after the echo."""
    late(shelves)
    asked = shelves.give(Tick())
    assert published(shelves.give(*echoes(asked), Tick(), PAID)) == EXPIRED


def test_an_echo_from_before_the_deadline_says_nothing(shelves):
    """Only what was in the queue after the deadline follows all that was there before."""
    old = Delivery(1, 1, "shop.events", "inventory.echo", {}, b"899.0")
    late(shelves)
    for body in (b"", b"no number", b"[" * 100_000):
        shelves.give(Delivery(1, 1, "shop.events", "inventory.echo", {}, body))
    assert published(shelves.give(old, Tick())) == []


def test_the_queue_is_asked_again_when_no_answer_comes(shelves):
    """An echo may be lost with a connection; but it is not asked at every tick."""
    late(shelves)
    assert len(echoes(shelves.give(Tick()))) == 1
    assert echoes(shelves.give(Tick())) == []
    assert len(echoes(shelves.give(PublisherDown(), PublisherUp(), Tick()))) == 1
    assert len(echoes(shelves.wait(1.0))) == 1


def test_a_payment_that_waits_to_be_tried_again_was_in_time(shelves):
    """It failed once, as its reservation was not there yet or a handler had a bad day."""
    waiting = Inbox("paid", "payment.processed", "1001", "waiting", 890.0, 1, HOLD + 5, "x",
                    PAID.headers, PAID.body)  # fmt: skip
    transaction = Transaction(shelves.store)
    transaction[Inbox].put(waiting)
    transaction.commit()
    late(shelves)
    assert published(shelves.wait(0)) == []
    assert published(shelves.wait(4)) == COMMITTED


def test_a_deadline_waits_for_what_a_sibling_has_in_hand(shelves, sibling):
    """An echo that one replica was delivered says nothing of what another was before."""
    late(shelves, sibling)
    asked = shelves.give(Tick())
    assert published(shelves.give(*echoes(asked), Tick())) == []
    assert published(sibling.give(PAID)) == COMMITTED


def test_a_deadline_comes_once_every_replica_has_been_asked(shelves, sibling):
    """Each was delivered an echo, whoever published it."""
    late(shelves, sibling)
    asked = echoes(shelves.give(Tick()))
    sibling.give(*asked)
    assert published(shelves.give(*asked, Tick())) == EXPIRED


def test_what_a_lost_connection_gives_back_comes_before_the_deadline(shelves, sibling):
    """A sibling's payment is in the queue again, perhaps behind the echo that we have heard."""
    late(shelves, sibling)
    asked = echoes(shelves.give(Tick()))
    shelves.give(*asked)
    sibling.now += 0.5
    sibling.give(PublisherDown(), PublisherUp(), *asked)
    assert published(shelves.give(Tick())) == []
    shelves.now += 1.0
    assert published(shelves.give(PAID)) == COMMITTED


def test_a_replica_that_died_holds_no_deadline_back_for_ever(shelves, sibling):
    """When its lease has run out, and as much time again, the broker has given back its messages:
    then the queue is asked once more."""
    late(shelves, sibling)
    sibling.give(Tick())
    shelves.now = sibling.now + 2 * LEASE - 1
    assert published(shelves.wait(0)) == []
    assert published(shelves.wait(2)) == EXPIRED


def test_a_replica_that_left_holds_no_deadline_back(shelves, sibling):
    """What it had in hand was given back before; an echo from after that is waited for."""
    late(shelves, sibling)
    asked = echoes(shelves.give(Tick()))
    shelves.give(*asked)
    sibling.runtime.leave(sibling.now + 0.5)
    shelves.now += 1.0
    out = shelves.give(Tick())
    assert (published(out), len(echoes(out))) == ([], 1)
    assert published(shelves.give(*echoes(out), Tick())) == EXPIRED


def test_many_deadlines_that_wait_for_retries_hold_back_no_other(shelves):
    """They come again when the retries have been made."""
    transaction = Transaction(shelves.store)
    timer = shelves.rows(Timer)[0]
    for n in range(300):
        transaction[Timer].put(replace(timer, id=f"HoldDeadline/x{n}", subject=f"x{n}", due=1.0))
        waiting = Inbox(f"w{n}", "payment.processed", f"x{n}", "waiting", 0.0, 1, HOLD + 99)
        transaction[Inbox].put(waiting)
    transaction.commit()
    late(shelves)
    out = [key for _ in range(4) for key in published(shelves.wait(1))]
    assert out == EXPIRED
