"""What becomes of messages, effects and deadlines that fail: tried so often, then set aside."""

import pytest
from helpers import EXAMPLES, delivery, wire
from msgspec.structs import replace
from tower import CREATED, POLICY, Bell, Tower, dead_letters, order

from ecom.runtime.dead_letters import EFFECT_HEADER
from ecom.runtime.messages import Delivery, Failed, Perform, Tick
from ecom.runtime.service import Impossible
from ecom.runtime.tables import MACHINERY, Effect, Inbox, Received, Timer
from ecom.stores.sqlite import SqliteStore, prepare


@pytest.fixture
def tower():
    return Tower()


@pytest.fixture
def hand(tower):
    return tower.hand


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


def test_a_permanent_failure_is_tried_just_so_often_and_then_set_aside_once(tower, hand):
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
        "dead-letter": "1",
        "dead-reason": "failed",
        "dead-exception": "ValueError: cracked 3",
        "dead-attempts": "4",
        "dead-first": "1970-01-01T00:16:40.000Z",
        "dead-last": "1970-01-01T00:17:10.000Z",
        "dead-exchange": "shop.events",
        "dead-key": "order.created",
        "dead-user": "",
    }
    assert hand.row(Inbox, "created-1").state == "dead"
    assert hand.row(Bell, "1") is None
    assert hand.row(Received, "order.created").came == [(1, 1)]


def test_what_can_never_succeed_is_set_aside_at_once(tower, hand):
    """`Impossible`, and an event this service has no handler for."""
    tower.trouble["1"] = [Impossible("no clapper")]
    hand.give(order(1), delivery(EXAMPLES["order.cancelled"], "cancelled-1"))
    assert [letter.headers["dead-attempts"] for letter in dead_letters(hand)] == ["1", "1"]
    assert "OrderCancelled" in dead_letters(hand)[1].headers["dead-exception"]


def test_a_message_with_a_crowd_of_headers_survives_its_retry(tower, hand):
    """What a retry keeps of the headers is enough to read the message again."""
    tower.trouble["1"] = [ValueError("cracked")]
    crowd = {f"ce-noise{n}": "x" * 1_000 for n in range(60)}
    hand.give(replace(order(1), headers=crowd | order(1).headers))
    hand.wait(10)
    assert hand.row(Bell, "1").rung == 1


def test_a_failing_effect_is_tried_just_so_often_under_one_key_and_then_set_aside(hand):
    tries = [each for each in hand.give(order(1)) if isinstance(each, Perform)]
    for _ in range(10):
        hand.give(*[Failed(each.row.seq, "no answer") for each in tries[-1:]])
        tries += [each for each in hand.wait(5) if isinstance(each, Perform)]
    assert [each.row.key for each in tries] == ["ring/1"] * POLICY.attempts
    (letter,) = dead_letters(hand)
    assert (letter.headers["dead-reason"], letter.body) == ("effect failed", b'{"order_id":"1"}')
    assert hand.row(Effect, 1).state == "dead"


def test_the_log_counts_attempts_as_the_database_does(hand, caplog):
    """Of an effect as of an event: how often it has been tried so far."""
    hand.give(order(1))
    for n in range(1, POLICY.attempts + 1):
        caplog.clear()
        hand.give(Failed(1, "no answer"))
        assert (
            {record.attempt for record in caplog.records} == {n} == {hand.row(Effect, 1).attempts}
        )
        hand.wait(5)


def test_an_effect_that_can_never_succeed_is_set_aside_at_once(hand):
    hand.give(order(1))
    hand.give(Failed(1, "Impossible: no such bell", final=True))
    assert dead_letters(hand)[0].headers["dead-attempts"] == "1"


@pytest.mark.parametrize("final", [False, True])
def test_an_effect_is_given_up_when_the_service_has_handled_that_it_is(tower, hand, final):
    """What fails there is tried again with it: a saga that waits for an answer would wait for ever.
    What can never succeed there ends it."""
    hand.give(order(1))
    for _ in range(POLICY.attempts - 1):
        hand.give(Failed(1, "no answer"))
        hand.wait(5)
    tower.trouble["1"] = [ValueError("cracked")] * 2
    for _ in range(2):
        hand.give(Failed(1, "no answer", final))
        assert (hand.row(Effect, 1).state, tower.silent, dead_letters(hand)) == ("pending", 0, [])
        hand.wait(5)
    hand.give(Failed(1, "no answer", final))
    assert (hand.row(Effect, 1).state, tower.silent) == ("dead", 1)
    assert len(dead_letters(hand)) == 1
    hand.give(order(2))
    tower.trouble["2"] = [Impossible("no tower")]
    hand.give(Failed(2, "no answer", final=True))
    assert (hand.row(Effect, 2).state, tower.silent) == ("dead", 1)


def test_a_timer_rings_once_at_its_time_even_after_a_crash(hand):
    hand.give(order(1))
    hand.wait(3599)
    assert hand.row(Bell, "1").rung == 1
    hand.restart()
    hand.wait(1)
    hand.wait(100)
    assert hand.row(Bell, "1").rung == 2


def test_a_failing_timer_never_gives_up(tower, hand):
    """A deadline is owed: it is tried again each second until it succeeds."""
    hand.give(order(1))
    tower.trouble["1"] = [ValueError("cracked")] * 30
    hand.now = 3600
    for _ in range(31):
        hand.wait(1)
    assert hand.row(Bell, "1").rung == 2
    assert hand.rows(Timer) == []


@pytest.mark.parametrize("number", ["x", "", "7", "9" * 30, str(2**63), None, ["1"], 2.5, b"1"])
def test_a_replayed_effect_that_there_is_not_is_set_aside_again(hand, number, tmp_path):
    """In a real database, too, where a number may be too large to be asked for."""
    prepare(tmp_path / "tower.db", (Bell, *MACHINERY))
    hand.store = SqliteStore(tmp_path / "tower.db")
    hand.restart()
    hand.give(Delivery(1, 1, "", "shop.inventory", {EFFECT_HEADER: number}, b"{}"))
    assert "no such effect" in dead_letters(hand)[0].headers["dead-exception"]
    hand.store.close()


def test_a_replayed_effect_of_another_shape_is_set_aside_again(hand):
    """Its neighbours are not disturbed, however deep its body is."""
    hand.give(order(1))
    hand.give(Failed(1, "no such bell", final=True))
    for body in (b"", b"[]", b'{"order_id":1}', b'{"order_id":"1","x":' + b"[" * 100_000):
        hand.give(Delivery(1, 1, "", "shop.inventory", {EFFECT_HEADER: "1"}, body), order(2))
    assert hand.row(Effect, 1).state == "dead"
    assert len(dead_letters(hand)) == 5
