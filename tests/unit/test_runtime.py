"""The sans-IO runtime: what comes out of a step, in which order, and what is kept of it."""

import pytest
from helpers import answers, published, requested, steady
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace
from pika import BasicProperties
from tower import Bell, Ring, Rung, Tower, dead_letters, order

from ecom.contract.envelope import ATTRIBUTES
from ecom.runtime.messages import (
    Ack,
    Command,
    Commit,
    Delivery,
    Failed,
    Perform,
    Performed,
    Publish,
    Reply,
)
from ecom.runtime.tables import Counter, Effect, Inbox, Received, Timer
from ecom.stores.base import StoreBroken
from ecom.stores.memory import MemoryStore


@pytest.fixture
def tower():
    return Tower()


@pytest.fixture
def hand(tower):
    return tower.hand


def test_outputs_come_in_the_one_safe_order(hand):
    """Commit, then ack, then reply, then publish, then perform: a crash between any two is mended
    by the next start."""
    out = hand.give(order(1), Command("c", Ring("2"), "token"), order(3, 2))
    assert [type(each) for each in out] == [
        Commit,
        Ack,
        Reply,
        Publish,
        Publish,
        Publish,
        Perform,
        Perform,
        Perform,
    ]


def test_nothing_has_happened_before_the_commit_is_carried_out(hand):
    """A crash just before it leaves no trace: neither state nor anything to send."""
    before = hand.store.snapshot()
    hand.give(order(1), crash_after=0)
    hand.store.rollback()
    assert hand.store.snapshot() == before


def test_one_ack_covers_a_batch_and_each_channel_has_its_own(hand):
    out = hand.give(order(1, 7), order(2, 8), replace(order(3, 1), channel=2))
    assert [each for each in out if isinstance(each, Ack)] == [Ack(1, 8), Ack(2, 1)]


@pytest.mark.parametrize("batches", [[2], [1, 1]], ids=["in one batch", "in two"])
def test_a_duplicate_does_nothing_but_is_acked(hand, batches):
    out = [each for size in batches for each in hand.give(*[order(1)] * size)]
    assert hand.row(Bell, "1").rung == 1
    assert len(published(out)) == len(requested(out)) == 1
    assert len([each for each in out if isinstance(each, Ack)]) == len(batches)


def test_a_failing_message_undoes_only_itself(tower, hand):
    """Its neighbours in the batch keep their state, their events, effects and timers."""
    tower.trouble["2"] = [ValueError("cracked")]
    out = hand.give(order(1), order(2), order(3))
    assert [bell.order_id for bell in hand.rows(Bell)] == ["1", "3"]
    assert [out.row.subject for out in out if isinstance(out, Publish)] == ["1", "3"]
    assert [effect.order_id for effect in requested(out)] == ["1", "3"]
    assert [timer.subject for timer in hand.rows(Timer)] == ["1", "3"]
    assert hand.row(Inbox, "created-2").state == "waiting"
    assert Ack(1, 1) in out


def test_a_type_cannot_come_under_another_routing_key(hand):
    """Brokers grant publishing by routing key. What an operator puts into our own queue comes under
    the queue's."""
    hand.give(replace(order(1), key="payment.processed"))
    assert "routing key" in dead_letters(hand)[0].headers["dead-exception"]
    hand.give(replace(order(1), exchange="", key="shop.inventory"))
    assert hand.row(Bell, "1").rung == 1


def test_a_command_that_raises_is_answered_and_leaves_nothing(tower, hand):
    tower.trouble["2"] = [KeyError("rope")]
    out = hand.give(Command("c1", Ring("1"), "a"), Command("c2", Ring("2"), "b"))
    assert answers(out)[0] == 1
    assert isinstance(answers(out)[1], KeyError)
    assert [bell.order_id for bell in hand.rows(Bell)] == ["1"]


def test_an_effects_result_is_handled_once(hand):
    """However often it comes back: a slow answer, and that of a second try under the same key."""
    (perform,) = [each for each in hand.give(order(1)) if isinstance(each, Perform)]
    for _ in range(3):
        hand.give(Performed(perform.row.seq, Rung("1")), Failed(perform.row.seq, "too late"))
    assert hand.row(Bell, "1").rung == 2
    assert hand.row(Effect, 1).state == "done"


texts = st.text(max_size=300).filter(lambda text: len(text.encode("utf-8", "ignore")) <= 255)
headers = st.dictionaries(
    texts | st.binary(max_size=9) | st.sampled_from(["ce-id", "ce-subject", "ce-type", "x-death"]),
    st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.binary()
    | st.lists(st.text())
    | st.text(min_size=100, max_size=1_000),
    max_size=60,
)


@steady
@given(headers, st.binary(max_size=200), texts | st.just("𝄞" * 63))
@example({"few but large": b"\x00" * 100_000}, b"", "")
@example({str(n): None for n in range(20_000)}, b"", "")
@example({f"ce-{n}": "𝄞" * 99 for n in (*ATTRIBUTES, *range(99))}, b"", "𝄞" * 63)
@example(dict.fromkeys(ATTRIBUTES, "𝄞" * 99), b"", "𝄞" * 63)
def test_whatever_comes_is_set_aside_as_something_that_can_be_published(headers, body, key):
    """No message stops the service, and its dead letter fits the limits of AMQP: short strings of
    255 bytes, properties in the smallest frame of 4 KiB."""
    hand = Tower().hand
    headers |= {"ce-id": "𝄞" * 200}
    out = hand.give(Delivery(1, 1, "shop.events", key, headers, body, "𝄞" * 63))
    (letter,) = [each.row for each in out if isinstance(each, Publish)]
    assert letter.body == body
    properties = BasicProperties(headers=letter.headers, message_id=letter.id)
    assert sum(map(len, properties.encode())) < 4_096 - 400  # with our user, and a frame's own


class Noting(MemoryStore):
    """Notes of which kind each row was that was read for itself."""

    def __init__(self):
        super().__init__()
        self.read = []

    def fetch(self, kind, key):
        self.read.append(kind)
        return super().fetch(kind, key)


def test_what_a_batch_will_want_is_read_at_once(hand):
    """Of messages and of effects' results: a row of its own costs each a query no more. The one
    stream that they all are of costs the batch one."""
    hand.store = Noting()
    hand.restart()
    hand.store.read.clear()
    out = hand.give(*[order(n, n) for n in range(1, 9)])
    performs = [each for each in out if isinstance(each, Perform)]
    hand.give(*[Performed(each.row.seq, Rung(each.effect.order_id)) for each in performs])
    assert {bell.rung for bell in hand.rows(Bell)} == {2}
    assert set(hand.store.read) == {Counter, Received}
    assert hand.store.read.count(Received) == 1


def test_a_broken_database_is_no_fault_of_the_message(tower, hand):
    """It ends the step, and is neither tried again nor set aside."""
    tower.trouble["1"] = [StoreBroken("no such column")]
    with pytest.raises(StoreBroken):
        hand.give(order(1))
    assert hand.rows(Inbox) == []
    assert published(hand.give(order(1))) == ["inventory.committed"]
