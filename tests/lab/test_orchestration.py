"""The shop with a coordinator, judged as the one without: by the same books, and the same table."""

from dataclasses import replace

import pytest

from ecom_lab.simulator.model import Model
from ecom_lab.simulator.shop.orchestrated import ABLATIONS, COORDINATED, SAGA, STEPS, orchestrated
from ecom_lab.simulator.shop.outcomes import (
    CASES,
    SAGAS,
    allowed,
    compared,
    reached,
    rows_of,
    unreached,
    watched,
    world,
)
from ecom_lab.simulator.shop.properties import PROPERTIES
from ecom_lab.simulator.shop.scenario import USUAL, Wish, race
from ecom_lab.simulator.suites import Job, explore

LONGEST = 20  # steps of a counterexample
BOOKISH = {"counters-agree", "all-logged", "logged-once", "books-balance"}
BY_NAME = {it.name: it for it in ABLATIONS}


@pytest.fixture(scope="module")
def found():
    """The shortest counterexamples to each ablation, of each promise, the very shortest first."""
    return {
        name: explore(Job(it.broken, stop=False, enough=12_000)).violations
        for name, it in BY_NAME.items()
    }


def test_one_order_survives_every_fault():
    """Of each kind, anywhere, in every order of events."""
    result = explore(Job(orchestrated(replace(race(1, faults=1), kinds=USUAL))))
    assert result.exhaustive
    assert result.violations == []


def test_two_orders_race_for_the_last_unit():
    """One of them has it; stock, money and mails of the other come back."""
    scenario, seen = watched(orchestrated(race(2, faults=0)))
    assert explore(Job(scenario)).violations == []
    ends = [tuple(end for _, end in settled) for settled in seen]
    assert ("CONFIRMED", "insufficient stock") in ends
    assert ("CONFIRMED", "CONFIRMED") not in ends


@pytest.mark.parametrize("name", BY_NAME)
def test_without_this_safeguard_a_promise_is_violated(name, found):
    """And a story of at most 20 steps tells how somebody is harmed."""
    assert found[name], f"nothing happens without {name}"
    assert len(found[name][0].steps) <= LONGEST
    assert found[name][0].promise not in BOOKISH


@pytest.mark.parametrize(
    "scenario", list({id(it.scenario): it.scenario for it in ABLATIONS}.values())
)
def test_with_all_safeguards_the_same_world_is_well(scenario):
    """The real design violates nothing in any world that shows an ablation."""
    result = explore(Job(scenario))
    assert result.exhaustive
    assert result.violations == []


def test_what_the_coordinator_promises_is_violated_by_something(found):
    """A promise that nothing can violate would be no check."""
    violated = {violation.promise for violations in found.values() for violation in violations}
    own = {it.name for it in COORDINATED} - {it.name for it in PROPERTIES}
    assert own <= violated


# ── both styles, held against one table ───────────────────────────────────────────────────────
@pytest.mark.parametrize(("units", "card", "may_cancel"), CASES)
@pytest.mark.parametrize("style", ["choreography", "orchestration"])
def test_an_order_ends_as_the_table_says(style, units, card, may_cancel):
    """Within it always; and where a race decides, all that it allows is reached."""
    scenario = world(units, card, may_cancel)
    scenario = orchestrated(scenario) if style == "orchestration" else scenario
    assert reached(scenario) == allowed(units, card, may_cancel)


def test_random_histories_end_as_the_table_says_in_both_sagas():
    """Several customers, cards, units, changes of mind, faults. (`ecom explore --differential` goes
    through as many as you like, and looks whether all that is allowed is reached.)"""
    ends = {}
    assert list(compared(range(12), each=15, ends=ends)) == []
    assert len(ends) == 24


def test_a_saga_that_departs_from_the_table_is_named(monkeypatch):
    """One that tells nobody that an order has failed leaves it as it is."""
    broken = BY_NAME["undo-untold"].change
    monkeypatch.setitem(SAGAS, "orchestration", lambda world: broken(orchestrated(world)))
    found = list(compared(range(4), each=5, ends={}))
    assert found
    assert all(problem.startswith("orchestration") for problem in found)


def test_what_no_history_has_come_to_is_named():
    """Of a row of the table, or of two where there is not enough for all."""
    row = rows_of((Wish(), Wish()), 1)["customer-1@example.org"]
    assert allowed(*row) == {"CONFIRMED", "hold expired", "insufficient stock"}
    ends = {("choreography", row): {"CONFIRMED", "hold expired"}}
    assert list(unreached(ends)) == [f"choreography: no {row} ended as insufficient stock"]


def test_a_coordinators_table_names_each_state_once():
    """A state says which step is under way, and which way it goes."""
    states = [state for it in STEPS for state in (it.doing, it.undoing) if state]
    assert len(states) == len(set(states))
    assert Model(orchestrated(race(1, 0))).names == tuple(SAGA.services)
