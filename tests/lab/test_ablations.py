"""Each safeguard is there for a reason, and the laboratory can tell it."""

import pytest

from ecom_lab.simulator.matrix import HeatMap, losses, matrix
from ecom_lab.simulator.model import Model
from ecom_lab.simulator.properties import QUIET_IS_REACHED
from ecom_lab.simulator.shop.ablations import ALL, BY_NAME
from ecom_lab.simulator.shop.properties import PROPERTIES
from ecom_lab.simulator.shop.scenario import in_time
from ecom_lab.simulator.suites import Job, explore
from ecom_lab.simulator.trace import step_of

LONGEST = 15  # steps of a counterexample
# Promises about the bookkeeping, which hurt nobody if they are all that is violated.
BOOKISH = {"counters-agree", "all-logged", "logged-once", "books-balance"}
NAMES = [ablation.name for ablation in ALL]


@pytest.fixture(scope="module")
def found():
    """The shortest counterexample to each ablation."""
    return {name: explore(Job(BY_NAME[name].broken)).violations for name in NAMES}


def test_there_are_many_ways_to_build_it_wrong():
    """At least 20, and the well-known mistakes of public samples are among them."""
    assert len(BY_NAME) == len(ALL) >= 20
    samples = {ablation.sample for ablation in ALL}
    assert {
        "the dual write of the plain tutorial saga",
        "the claim-first inbox",
        "the timeout that cancels the order and tells nobody",
        "the stock decremented without a check",
    } <= samples


@pytest.mark.parametrize("name", NAMES)
def test_without_this_safeguard_a_promise_is_violated(name, found):
    """And a story of at most 15 steps tells how somebody is harmed: money, stock, mail, or an order
    that never ends."""
    assert found[name], f"nothing happens without {name}"
    assert len(found[name][0].steps) <= LONGEST
    assert found[name][0].promise not in BOOKISH


@pytest.mark.parametrize("scenario", list({id(it.scenario): it.scenario for it in ALL}.values()))
def test_with_all_safeguards_the_same_world_is_well(scenario):
    """The real design violates nothing in any world that shows an ablation."""
    result = explore(Job(scenario))
    assert result.exhaustive
    assert result.violations == []


def test_a_deadline_asks_the_queue_and_the_echo_comes_behind_what_was_there():
    """The payment is handled before the echo, and so there is no deadline any more."""
    world, told = Model(in_time()), []
    state = world.start()
    while moves := world.moves(state, 0):
        move = next((it for it in moves if it.what[1][0][0] == "timer"), moves[0])
        told.append(str(step_of(world, move)))
        state = world.after(state, move)
    expected = [
        "inventory reaches the hold deadline of order 1001",
        "inventory handles payment.processed of order 1001",
        "inventory handles inventory.echo",
    ]
    assert [it for it in told if it in expected] == expected


def test_a_counterexample_is_the_same_each_time(found):
    """A second exploration tells the same stories."""
    for name in ("outbox", "write-lock", "effects-after-commit", "deadline-looks"):
        assert explore(Job(BY_NAME[name].broken)).violations == found[name]


def test_a_matrix_has_a_row_for_each_safeguard_and_a_column_for_each_promise():
    """That every promise is violated by something, and every safeguard needed, is asserted of the
    whole matrix in notebook 08."""
    names = ["outbox", "dead-letter-before-ack"]
    broken = matrix([BY_NAME[name] for name in names], workers=2)
    assert list(broken.columns) == [*(it.name for it in PROPERTIES), QUIET_IS_REACHED[0]]
    assert list(broken.index) == names
    assert (broken > 0).any(axis="columns").all()
    picture = HeatMap(broken)
    assert len(picture.figure().axes[0].get_yticks()) == len(names)
    assert "  dead-letter-before-ack: nothing-vanishes 2" in picture.text.splitlines()


def test_losses_are_counted():
    """In pounds and in units."""
    lost = losses([BY_NAME["capture-key"], BY_NAME["stock-check"]])
    assert lost.loc["capture-key", "pounds"] == 25.0  # taken, where nothing or 12.50 was due
    assert lost.loc["stock-check", "units"] == 1
