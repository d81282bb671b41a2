"""Histories as data."""

from dataclasses import replace

import pytest

from ecom_lab.simulator.counterexample import diagram, shortest
from ecom_lab.simulator.model import Model
from ecom_lab.simulator.shop.ablations import BY_NAME, lacking, one
from ecom_lab.simulator.shop.scenario import Wish, shop
from ecom_lab.simulator.suites import Job, explore, walks
from ecom_lab.simulator.trace import NotRepeatable, broken, replay

NAME = "effects-after-commit"


@pytest.fixture(scope="module")
def story():
    """The shortest story of a call inside the transaction."""
    return list(explore(Job(BY_NAME[NAME].broken)).violations[0].steps)


def test_a_history_is_repeated_exactly(story):
    """In another world of the same design, and violates the same promise at its last step."""
    assert broken(Model(BY_NAME[NAME].broken), story) == {"cancelled-gives-back": len(story)}


def test_the_real_design_cannot_lose_what_the_history_lost(story):
    """The same steps, as far as they can be taken, violate nothing."""
    assert broken(Model(BY_NAME[NAME].scenario), story) == {}


def test_a_history_of_another_world_is_refused(story):
    """With the step that cannot come next."""
    with pytest.raises(NotRepeatable, match="cannot come next"):
        replay(Model(shop(faults=0)), story)


def test_a_random_find_is_repeated_too():
    """Three customers and three faults wander about, and at the last step they do harm."""
    three = shop(tuple(Wish(may_cancel=True) for _ in range(3)), faults=3)
    scenario = lacking(three, ["tombstone-payment"])
    walk = next(walk for walk in walks(scenario, range(500)) if walk.promise)
    assert broken(Model(scenario), walk.steps)[walk.promise] == len(walk.steps)


def test_a_history_is_told_and_drawn(story):
    """In words, and as lines between those who take part."""
    assert str(story[0]) == "customer 0 asks: place order"
    assert "payment handles inventory.processed of order 1001, but its process dies" in "\n".join(
        map(str, story)
    )
    lines = diagram(story, "Lost").steps
    assert str(lines[0]).split() == ["customer", "→", "order", "place", "order"]
    assert [line.kind for line in lines].count("crash") == 1


def test_what_is_tried_again_is_named():
    """Told and drawn: a message and a call that failed, and an event that came back."""
    scenario = one("handler", "return", "fails")
    steps = [step for walk in walks(scenario, range(200)) for step in walk.steps]
    told = {str(step) for step in steps}
    assert told >= {
        "inventory retries payment.processed of order 1001",
        "order publishes order.created of order 1001 again",
        "payment retries capture of order 1001",
    }
    drawn = {line.label for line in diagram(steps, "Again").steps}
    assert drawn >= {f"try again: {it}" for it in ("payment.processed", "order.created", "capture")}


def test_a_counterexample_draws_states_captures_and_mails():
    """Each beneath the step that did it, and a crash beneath what was done before it."""
    lines = [str(line) for line in shortest(BY_NAME["told-once"].broken).diagram.steps]
    place = lines.index(f"{'order → inventory':<26} order.created")
    assert lines[place - 1 : place + 2][::2] == [
        f"{'order':<26} PENDING",
        f"{'inventory':<26} HELD",
    ]
    assert f"{'inventory':<26} HELD → EXPIRED" in lines
    assert lines[-1] == f"{'notification → mailbox':<26} Order #1001 Cancelled"
    crashing = replace(BY_NAME["capture-key"].broken, kinds=("crash",))
    labels = [line.label for line in shortest(crashing).diagram.steps]
    assert labels[-4:] == ["capture", "crash after gateway call", "restart", "capture"]
