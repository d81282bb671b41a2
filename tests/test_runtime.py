"""The sans-IO runtime: what comes out of a step, in which order, and what becomes of failures."""

import pytest
from helpers import EXAMPLES, Hand, answers, asked, delivery, said, steady, wire
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace
from pika import BasicProperties

from ecom.events import InventoryCommitted, OrderCreated
from ecom.ports import (
    Ack,
    Command,
    Commit,
    Confirmed,
    Delivery,
    Failed,
    Perform,
    Performed,
    Publish,
    Reply,
    Tick,
)
from ecom.rows import Counter, Effect, Inbox, Outbox, Timer
from ecom.service import Impossible, Retry, Service
from ecom.store import Row

CREATED = EXAMPLES["order.created"]
POLICY = Retry(base=1.0, factor=3.0, cap=5.0, attempts=4)


class Bell(Row, frozen=True):
    table = "bells"

    order_id: str
    rung: int = 0


class Ring(Struct, frozen=True):
    order_id: str


class Rung(Struct, frozen=True):
    order_id: str


class Alarm(Struct, frozen=True):
    order_id: str


class Tower:
    """A service that rings a bell for each order, and fails when told to."""

    def __init__(self):
        self.trouble = {}  # order id: the exceptions to raise, one a call
        self.calls = 0
        self.hand = Hand(
            Service(
                "inventory", (Bell,),
                {kind: self.ring for kind in (OrderCreated, Ring, Rung, Alarm)},
                effects=(Ring,), retries={OrderCreated: POLICY, Ring: POLICY},
            )
        )  # fmt: skip

    def ring(self, message, work):
        self.calls += 1
        bell = work[Bell].get(message.order_id) or Bell(message.order_id)
        work[Bell].put(replace(bell, rung=bell.rung + 1))
        if not isinstance(message, Rung):
            work.emit(InventoryCommitted(message.order_id, "quasimodo@example.com"))
            work.request(Ring(message.order_id), f"ring/{message.order_id}")
        if isinstance(message, OrderCreated):
            work.remind(work.now + 60, Alarm(message.order_id))
        if errors := self.trouble.get(message.order_id):
            raise errors.pop(0)
        return bell.rung + 1


@pytest.fixture
def tower():
    return Tower()


@pytest.fixture
def hand(tower):
    return tower.hand


def order(number, tag=1):
    return delivery(replace(CREATED, order_id=str(number)), f"created-{number}", tag)


def dead_letters(hand):
    return hand.rows(Outbox, exchange="dead")


def test_outputs_come_in_the_one_safe_order(hand):
    """Commit, then ack, then reply, then publish, then perform: a crash between any two is mended
    by the next start."""
    out = hand.give(order(1), Command("c", Ring("2"), "token"), order(3, 2))
    assert [type(each) for each in out] == [
        Commit, Ack, Reply, Publish, Publish, Publish, Perform, Perform, Perform
    ]  # fmt: skip


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
    assert len(said(out)) == len(asked(out)) == 1
    assert len([each for each in out if isinstance(each, Ack)]) == len(batches)


def test_a_failing_message_undoes_only_itself(tower, hand):
    """Its neighbours in the batch keep their state, their events, effects and timers."""
    tower.trouble["2"] = [ValueError("cracked")]
    out = hand.give(order(1), order(2), order(3))
    assert [bell.order_id for bell in hand.rows(Bell)] == ["1", "3"]
    assert [out.row.order_id for out in out if isinstance(out, Publish)] == ["1", "3"]
    assert [effect.order_id for effect in asked(out)] == ["1", "3"]
    assert [timer.order_id for timer in hand.rows(Timer)] == ["1", "3"]
    assert hand.row(Inbox, "created-2").state == "waiting"
    assert Ack(1, 1) in out


@pytest.mark.parametrize("jitter", [0.0, 0.5, 0.999])
def test_each_wait_is_within_its_backoff_and_each_retry_at_its_time(jitter):
    """After the n-th failure it waits less than base × factor^(n-1), capped; not tried before."""
    tower = Tower()
    hand, tower.hand.jitter = tower.hand, lambda: jitter
    hand.restart()
    tower.trouble["1"] = [ValueError("cracked")] * 3
    hand.give(order(1))
    for wait in (1.0, 3.0, 5.0):
        row = hand.row(Inbox, "created-1")
        assert row.due - hand.now == pytest.approx(wait * jitter)
        calls = tower.calls
        if jitter:
            hand.wait((row.due - hand.now) * 0.99)
            assert tower.calls == calls
        hand.now = row.due
        hand.give(Tick())
        assert tower.calls == calls + 1
    row = hand.row(Inbox, "created-1")
    assert (row.state, row.attempts, row.due, row.body) == ("done", 4, None, None)
    assert hand.row(Bell, "1").rung == 1


def test_a_permanent_failure_is_tried_just_so_often_and_then_buried_once(tower, hand):
    """As often as the policy says; then one dead letter that tells its whole story."""
    tower.trouble["1"] = [ValueError(f"cracked {n}") for n in range(10)]
    hand.now = 1_000.0
    hand.give(order(1))
    for _ in range(20):
        hand.wait(10)
    assert tower.calls == POLICY.attempts
    (letter,) = dead_letters(hand)
    headers, body = wire(CREATED, "created-1")
    assert letter.body == body.replace(b"1001", b"1")
    assert {name: letter.headers[name] for name in headers} == headers | {"ce-subject": "1"}
    story = {name: value for name, value in letter.headers.items() if name not in headers}
    assert story == {
        "dead-reason": "failed", "dead-exception": "ValueError: cracked 3", "dead-attempts": "4",
        "dead-first": "1970-01-01T00:16:40.000Z", "dead-last": "1970-01-01T00:17:10.000Z",
        "dead-exchange": "events", "dead-key": "order.created",
    }  # fmt: skip
    assert hand.row(Inbox, "created-1").state == "dead"
    assert hand.row(Bell, "1") is None
    assert hand.row(Counter, "handled:order.created").value == 1


def test_what_can_never_succeed_is_buried_at_once(tower, hand):
    """`Impossible`, and an event this service has no handler for."""
    tower.trouble["1"] = [Impossible("no clapper")]
    hand.give(order(1), delivery(EXAMPLES["order.cancelled"], "cancelled-1"))
    assert [letter.headers["dead-attempts"] for letter in dead_letters(hand)] == ["1", "1"]
    assert "OrderCancelled" in dead_letters(hand)[1].headers["dead-exception"]


def test_a_type_cannot_come_under_another_routing_key(hand):
    """Brokers grant publishing by routing key; but our own queue (a replay) is open to all types."""
    hand.give(replace(order(1), key="payment.processed"))
    assert "routing key" in dead_letters(hand)[0].headers["dead-exception"]
    hand.give(replace(order(1), exchange="", key="shop.inventory"))
    assert hand.row(Bell, "1").rung == 1


def test_a_message_with_a_crowd_of_headers_survives_its_retry(tower, hand):
    """What a retry keeps of the headers is enough to read the message again."""
    tower.trouble["1"] = [ValueError("cracked")]
    crowd = {f"ce-noise{n}": "x" * 1_000 for n in range(60)}
    hand.give(replace(order(1), headers=crowd | order(1).headers))
    hand.wait(10)
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


def test_a_failing_effect_is_tried_just_so_often_under_one_key_and_then_buried(hand):
    tries = [each for each in hand.give(order(1)) if isinstance(each, Perform)]
    for _ in range(10):
        hand.give(*[Failed(each.row.seq, "no answer") for each in tries[-1:]])
        tries += [each for each in hand.wait(5) if isinstance(each, Perform)]
    assert [each.row.key for each in tries] == ["ring/1"] * POLICY.attempts
    (letter,) = dead_letters(hand)
    assert (letter.headers["dead-reason"], letter.body) == ("effect failed", b'{"order_id":"1"}')
    assert hand.row(Effect, 1).state == "dead"


def test_an_effect_that_can_never_succeed_is_buried_at_once(hand):
    hand.give(order(1))
    hand.give(Failed(1, "Impossible: no such bell", final=True))
    assert dead_letters(hand)[0].headers["dead-attempts"] == "1"


def test_a_timer_rings_once_at_its_time_even_after_a_crash(hand):
    hand.give(order(1))
    hand.wait(59)
    assert hand.row(Bell, "1").rung == 1
    hand.restart()
    hand.wait(1)
    hand.wait(100)
    assert hand.row(Bell, "1").rung == 2


def test_a_failing_timer_never_gives_up(tower, hand):
    """A deadline is owed: it is tried again each second until it succeeds."""
    hand.give(order(1))
    tower.trouble["1"] = [ValueError("cracked")] * 30
    hand.now = 60
    for _ in range(31):
        hand.wait(1)
    assert hand.row(Bell, "1").rung == 2
    assert hand.rows(Timer) == []


texts = st.text(max_size=300).filter(lambda text: len(text.encode("utf-8", "ignore")) <= 255)
headers = st.dictionaries(
    texts | st.binary(max_size=9) | st.sampled_from(["ce-id", "ce-subject", "ce-type", "x-death"]),
    st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.binary() | st.lists(st.text())
    | st.text(min_size=100, max_size=1_000), max_size=60,
)  # fmt: skip


@steady
@given(headers, st.binary(max_size=200), texts | st.just("𝄞" * 63))
def test_whatever_comes_is_set_aside_as_something_that_can_be_published(headers, body, key):
    """No message stops the service, and its dead letter fits the limits of AMQP: short strings of
    255 bytes, properties in one frame of 128 KiB."""
    hand = Tower().hand
    encodable = {k: v for k, v in headers.items() if "\ud800" > str(k)}
    out = hand.give(Delivery(1, 1, "shop.events", key, encodable | {"ce-id": "𝄞" * 200}, body))
    (letter,) = [each.row for each in out if isinstance(each, Publish)]
    assert letter.body == body
    properties = BasicProperties(headers=letter.headers, message_id=letter.id)
    assert sum(map(len, properties.encode())) < 131_072 - 100
