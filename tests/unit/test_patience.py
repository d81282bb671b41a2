"""Retries delay nobody: what fails waits in the inbox, and all others are handled as they come.

Told in steps, not in seconds: how long a step takes is for the benchmarks to say.
"""

import pytest
from helpers import published
from tower import Bell, Tower, order

from ecom.runtime.messages import Ack, Tick
from ecom.runtime.replicas import AT_ONCE
from ecom.runtime.tables import MACHINERY, Inbox
from ecom.stores.base import StoreUnavailable
from ecom.stores.sqlite import SqliteStore, prepare

CROWD = 3 * AT_ONCE


@pytest.fixture(params=["memory", "sqlite"])
def tower(request, tmp_path):
    """A service in which a crowd of messages has failed and will go on failing."""
    tower = Tower()
    if request.param == "sqlite":
        prepare(tmp_path / "inventory.db", (*tower.hand.service.rows, *MACHINERY))
        tower.hand.store = SqliteStore(tmp_path / "inventory.db")
    tower.hand.restart()
    for n in range(CROWD):
        tower.trouble[str(n)] = [ValueError("cracked")] * 100
    tower.hand.give(*[order(n, tag=n + 1) for n in range(CROWD)])
    yield tower
    if request.param == "sqlite":
        tower.hand.store.close()


def waiting(hand):
    return hand.rows(Inbox, state="waiting")


def test_what_comes_is_handled_in_the_step_it_comes_in(tower):
    """While the crowd waits, and in the very step in which its retries are due: each new message is
    handled, said and acknowledged at once."""
    hand = tower.hand
    assert len(waiting(hand)) == CROWD
    for n in range(CROWD, CROWD + 20):
        hand.now += 1.0
        out = hand.give(Tick(), order(n, tag=n + 1))
        assert Ack(1, n + 1) in out
        assert published(out).count("inventory.committed") == 1
        assert hand.row(Bell, str(n)).rung == 1


def test_a_crowd_of_due_retries_is_taken_bit_by_bit(tower):
    """One step tries at most so many again, so that what comes next is never far off; but each has
    its turn: none is tried a second time before all were tried once."""
    hand = tower.hand
    hand.now += 5.0
    calls, steps = tower.calls, 0
    while any(row.attempts == 1 for row in waiting(hand)):
        hand.give(Tick())
        steps += 1
        assert tower.calls - calls <= AT_ONCE
        calls = tower.calls
        assert {row.attempts for row in waiting(hand)} <= {1, 2}
    assert steps == CROWD // AT_ONCE


def test_a_busy_database_costs_no_attempt(tower):
    """`SQLITE_BUSY` is not the message's fault: the whole step is as if it had never been."""
    hand = tower.hand
    tower.trouble["new"] = [StoreUnavailable("database is locked")]
    with pytest.raises(StoreUnavailable):
        hand.give(order("new"), order(CROWD))
    assert hand.row(Inbox, "created-new") is None
    assert published(hand.give(order("new"), order(CROWD))) == ["inventory.committed"] * 2
    assert hand.row(Inbox, "created-new").attempts == 1
