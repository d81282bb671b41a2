"""What leaves a service: nothing is lost, nothing is sent for ever, and not too much at a time."""

import pytest
from helpers import Hand, published
from tower import Bell, Ring, Rung, Tower, order

from ecom.runtime.messages import (
    Confirmed,
    Failed,
    Perform,
    Performed,
    Publish,
    PublisherDown,
    PublisherUp,
    Rejected,
    Tick,
)
from ecom.runtime.relay import Relay
from ecom.runtime.runtime import Runtime
from ecom.runtime.service import LEASE
from ecom.runtime.tables import Effect, Outbox
from ecom.stores.base import Transaction
from ecom.stores.memory import MemoryStore


@pytest.fixture
def hand():
    return Tower().hand


def sent(outputs):
    """The seqs of the rows published."""
    return [each.row.seq for each in outputs if isinstance(each, Publish)]


def performed(outputs):
    """The seqs of the effects taken on."""
    return [each.row.seq for each in outputs if isinstance(each, Perform)]


def unsent(hand):
    return [row.seq for row in hand.rows(Outbox, done_at=None)]


def test_a_row_is_sent_once_and_marked_when_the_broker_has_it(hand):
    assert sent(hand.give(order(1))) == [1]
    assert sent(hand.give(Tick())) == []
    assert unsent(hand) == [1]
    hand.give(Confirmed([1]))
    assert unsent(hand) == []
    assert hand.row(Outbox, 1).due is None


def test_what_was_sent_but_not_confirmed_is_sent_again_after_a_restart(hand):
    """The oldest first, before anything new; what was confirmed stays sent."""
    hand.give(order(1), order(2), order(3))
    hand.give(Confirmed([2]))
    assert sent(hand.restart()) == [1, 3]


def test_nothing_is_sent_without_a_connection_and_all_of_it_with_the_next(hand):
    hand.give(order(1))
    assert sent(hand.give(PublisherDown(), order(2))) == []
    assert sent(hand.give(order(3), Tick())) == []
    assert sent(hand.give(PublisherUp(), order(4))) == [1, 2, 3, 4]


def test_a_row_that_the_broker_refuses_is_set_aside_and_tried_ever_more_rarely(hand):
    """No reconnect and no restart takes it on, all others leave, and it is never forgotten: tried
    after as long as it is old, at first soon, as it may be innocent, ten minutes at most."""
    hand.give(order(1), order(2))
    hand.give(Rejected([1], "PRECONDITION_FAILED"), PublisherDown())
    assert sent(hand.give(PublisherUp())) == [2]
    assert sent(hand.restart()) == [2]
    assert sent(hand.wait(4)) == []
    pauses = []
    for _ in range(9):
        started = hand.now
        while 1 not in sent(hand.wait(1)):
            pass
        pauses.append(hand.now - started)
        hand.give(Rejected([1], "PRECONDITION_FAILED"), Confirmed([2]))
    assert pauses == [1, 5, 10, 20, 40, 80, 160, 320, 600]
    assert unsent(hand) == [1]


def test_a_returned_row_is_sent_again_a_little_later(hand):
    """Not at once: a queue that is missing would make us spin."""
    hand.give(order(1))
    assert sent(hand.give(Rejected([1]))) == []
    assert sent(hand.wait(0.9)) == []
    assert sent(hand.wait(0.1)) == [1]
    hand.give(Confirmed([1]))
    assert unsent(hand) == []


def test_a_late_confirm_after_a_reconnect_counts(hand):
    """Confirms of rows that are not under way, or done, or gone, do no harm."""
    hand.give(order(1), PublisherDown())
    hand.give(Confirmed([1, 99]), Rejected([1, 99]))
    assert unsent(hand) == []
    assert sent(hand.give(PublisherUp(), Tick())) == []


def outgoing(window=3):
    """A store with no rows, and one replica's view of its outbox."""
    return MemoryStore(), Relay(Outbox, "1", window)


def row(seq, owner="1", due=None):
    return Outbox(seq, f"id-{seq}", "t", "1", "events", {}, b"", 0.0, owner, due=due)


def put(store, *seqs, owner="1", due=None):
    transaction = Transaction(store)
    for seq in seqs:
        transaction[Outbox].put(row(seq, owner, due))
    transaction.commit()


def step(store, rows, now=0.0, ticked=False, done=(), returned=()):
    """What one step takes on."""
    transaction = Transaction(store)
    rows.done(done, transaction, now)
    rows.rejected(returned, "", transaction, now)
    chosen = rows.choose(transaction, now, ticked)
    transaction.commit()
    rows.started(chosen)
    return [row.seq for row in chosen]


def test_no_more_than_the_window_is_under_way():
    """What does not fit waits in the table, and follows in order as there is room."""
    store, rows = outgoing(window=3)
    put(store, 1, 2, 3, 4, 5)
    assert step(store, rows) == [1, 2, 3]
    assert step(store, rows) == []
    assert step(store, rows, done=[2]) == [4]
    assert step(store, rows, done=[1, 3, 4]) == [5]


def test_a_row_that_is_due_does_not_make_older_ones_wait():
    """A returned row comes back with its high number; those below it, that did not fit into the
    window yet, still follow as soon as there is room."""
    store, rows = outgoing(window=2)
    put(store, *range(1, 10))
    put(store, 10, due=0.5)
    taken = step(store, rows, now=1.0, ticked=True)
    assert 10 in taken
    for _ in range(9):
        taken += step(store, rows, 1.0, done=taken)
    assert sorted(taken) == list(range(1, 11))


def test_a_row_is_never_under_way_twice_at_once():
    """Neither as due and as fresh, nor because a broker takes longer than the lease to confirm."""
    store, rows = outgoing(window=9)
    put(store, 1, 2, due=0.5)
    assert sorted(step(store, rows, 1.0, ticked=True)) == [1, 2]
    put(store, 3)
    assert step(store, rows, 2.0, ticked=True) == [3]
    assert step(store, rows, 3 * LEASE, ticked=True) == []


def test_a_row_taken_as_due_is_passed_over_when_its_turn_comes():
    store, rows = outgoing(window=2)
    put(store, 1, 2)
    put(store, 3, due=0.5)
    assert step(store, rows, 1.0, ticked=True) == [3, 1]
    assert step(store, rows, done=[1]) == [2]
    assert step(store, rows, done=[2]) == []


def test_rows_that_come_back_at_once_do_not_hide_newer_ones():
    """They fill the window; what did not fit follows as soon as there is room, not after a lease,
    though newer rows are written meanwhile."""
    store, rows = outgoing(window=2)
    put(store, 1, 2)
    assert step(store, rows) == [1, 2]
    assert step(store, rows, returned=[1, 2]) == []
    put(store, 3)
    assert step(store, rows, now=1.0, ticked=True) == [1, 2]
    put(store, 4)
    assert step(store, rows, now=1.0, done=[1]) == [3]
    assert step(store, rows, now=1.0, done=[2]) == [4]


def test_a_commit_whose_answer_was_lost_leaves_nothing_behind():
    """The same inputs come again and write nothing: what the first commit wrote, or took on as its
    time had come, is sent at once, and does not wait for its lease."""
    store, rows = outgoing()
    put(store, 1)
    assert step(store, rows) == [1]
    assert step(store, rows, returned=[1]) == []
    transaction = Transaction(store)
    transaction[Outbox].put(row(2))
    rows.choose(transaction, 1.0, ticked=True)
    transaction.commit()  # and its answer is lost
    assert step(store, rows, 1.0, ticked=True) == [1, 2]


def test_what_a_process_remembers_can_be_handed_to_another(hand):
    """It goes on as the first would have: nothing is published twice, and nothing skipped."""
    hand.give(order(1), order(2))
    hand.give(Confirmed([1]), Failed(1, "no answer"))
    memory = hand.runtime.volatile()
    assert list(memory.outbox.under_way) == [2]
    assert list(memory.effects.under_way) == [2]
    hand.runtime = Runtime(hand.saga, hand.service.name, hand.store, "1", lambda: 0.5)
    hand.runtime.restore(memory)
    assert hand.runtime.volatile() == memory
    out = hand.give(order(3))
    assert (sent(out), performed(out)) == ([3], [3])


def test_a_step_that_was_not_committed_took_nothing_on():
    store, rows = outgoing()
    put(store, 1)
    transaction = Transaction(store)
    assert rows.choose(transaction, 0.0, False)
    transaction.rollback()
    assert step(store, rows) == [1]


@pytest.fixture
def sibling(hand):
    """A second replica on the same database."""
    sibling = Hand(hand.service)
    sibling.store = hand.store
    sibling.runtime = Runtime(hand.saga, hand.service.name, hand.store, "2", lambda: 0.5)
    sibling.give(PublisherUp())
    return sibling


def test_a_dead_siblings_rows_are_adopted_after_its_lease(hand, sibling):
    """Not before: it may be at work. Each is adopted once."""
    hand.give(order(1))
    assert published(sibling.wait(LEASE - 1)) == []
    out = sibling.wait(1)
    assert (sent(out), performed(out)) == ([1], [1])
    assert sent(sibling.wait(1)) == []
    sibling.give(Confirmed([1]), Performed(1, Ring("1")))
    assert unsent(hand) == [2]  # said because the effect was done


def test_what_a_replica_is_slow_at_stays_its_own_while_it_lives(hand, sibling):
    """However long a mail takes, or waits for its turn: a renewed lease does not end."""
    assert performed(hand.give(*[order(n) for n in range(1, 300)])) == list(range(1, 201))
    for _ in range(10):
        hand.wait(LEASE / 2)
        sibling.now = hand.now
        out = sibling.give(Tick())
        assert (sent(out), performed(out)) == ([], [])
    assert performed(hand.give(Performed(1, Rung("1")))) == [201]


def test_a_replica_that_leaves_hands_its_rows_over_at_once(hand, sibling):
    """It was told to stop: nobody has to wait for its lease."""
    hand.give(order(1))
    hand.runtime.leave(hand.now)
    assert performed(sibling.wait(0.1)) == [1]


def test_a_success_counts_though_a_sibling_has_given_up(hand, sibling):
    """The provider tells one that its key is in use, and the other that the money moved."""
    hand.give(order(1))
    sibling.now = LEASE
    assert performed(sibling.give(Tick())) == [1]
    sibling.give(Failed(1, "409 key in use", final=True))
    assert hand.row(Effect, 1).state == "dead"
    hand.now = LEASE
    assert published(hand.give(Performed(1, Ring("1")))) == ["inventory.committed"]
    assert hand.row(Effect, 1).state == "done"
    hand.give(Performed(1, Ring("1")))
    assert hand.row(Bell, "1").rung == 2


def test_a_failure_counts_for_its_own_attempt_alone(hand, sibling):
    """Of a replica that was slow, and whose row a sibling has taken over: that one is still at it,
    or has failed itself. Once it has let go, the row is anybody's again."""
    hand.give(order(1))
    sibling.now = hand.now = LEASE
    assert performed(sibling.give(Tick())) == [1]
    before = hand.row(Effect, 1)
    hand.give(Failed(1, "too late", final=True))
    assert hand.row(Effect, 1) == before
    sibling.give(Failed(1, "no answer"))
    assert (hand.row(Effect, 1).attempts, hand.row(Effect, 1).state) == (1, "pending")
    assert performed(hand.wait(9)) == [1]


def test_what_a_replica_is_still_at_is_not_begun_by_it_again(hand, sibling):
    """Though it was taken from it, and given back, meanwhile."""
    hand.give(order(1))
    sibling.now = hand.now = LEASE
    sibling.give(Tick())
    sibling.give(Failed(1, "no answer"))
    assert performed(hand.wait(9)) == []
    assert performed(hand.give(Failed(1, "no answer"), Tick())) == [1]


def test_two_replicas_never_send_each_others_rows_while_both_live(hand, sibling):
    hand.give(order(1))
    assert sent(sibling.give(order(2))) == [2]
    assert sent(hand.give(order(3))) == [3]


def test_an_effect_that_failed_is_not_taken_on_before_its_time(hand):
    hand.give(order(1))
    assert len(hand.rows(Effect, done_at=None)) == 1
    hand.give(Failed(1, "no answer"))
    due = hand.row(Effect, 1).due
    assert performed(hand.wait((due - hand.now) * 0.9)) == []
    hand.now = due
    assert performed(hand.give(Tick())) == [1]
