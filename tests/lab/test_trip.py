"""A saga of another trade, made of public names only, is explored by promises of its own."""

from dataclasses import replace
from pathlib import Path

import pytest

from ecom_lab.simulator import Job, explore
from examples import trip
from examples.trip import worlds
from examples.trip.ablations import ALL

LONGEST = 20  # steps of a counterexample
DOMAIN = ("events", "services", "saga", "invariants")
TWICE = replace(worlds.GOES, faults=2)
PAIRS = replace(worlds.GOES, replicas={"car": 2})


@pytest.mark.parametrize(
    "scenario",
    [TWICE, PAIRS, worlds.NO_CAR, worlds.NO_SEAT, worlds.RACE],
    ids=["goes, two faults", "goes, two agents", "no car", "no seat", "race"],
)
def test_every_history_keeps_its_promises(scenario):
    """Room, car and ticket or none of them, whatever dies, is lost or comes twice."""
    result = explore(Job(scenario))
    assert result.exhaustive
    assert result.violations == []
    assert result.quiet_states > 0


@pytest.fixture(scope="module")
def found():
    """The shortest counterexample to each ablation."""
    return {it.name: explore(Job(it.broken)).violations for it in ALL}


@pytest.mark.parametrize("name", [it.name for it in ALL])
def test_a_handler_less_careful_is_caught(name, found):
    """By a promise of the trip's own, in a story short enough to be read."""
    (violation,) = found[name]
    assert len(violation.steps) <= LONGEST


def test_each_promise_is_violated_by_something(found):
    """A promise that nothing can violate would be no check; and there are many ways to go wrong."""
    promises = {violation.promise for (violation,) in found.values()}
    assert promises == {it.name for it in worlds.GOES.properties}
    assert len(found) == len(ALL) >= 8


def test_it_is_small():
    """Events, services, invariants and the world outside: 250 lines, blank ones not counted."""
    files = [Path(trip.__file__).with_name(f"{name}.py").read_text() for name in DOMAIN]
    assert sum(bool(line.strip()) for text in files for line in text.splitlines()) <= 250
