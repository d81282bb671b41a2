"""The simulator knows no shop: street lamps go through it as they are."""

from dataclasses import replace

import pytest
from lamps import LevelSet, Reading, Report, Restore, Street, lamps

from ecom.runtime.messages import Performed
from ecom_lab.simulator.ablations.ablation import answering, having
from ecom_lab.simulator.ablations.handling import AckFirst
from ecom_lab.simulator.ablations.sending import NeverBehind, NoOutbox
from ecom_lab.simulator.counterexample import shortest
from ecom_lab.simulator.properties import ALWAYS, SETTLED, promises
from ecom_lab.simulator.scenario import Client, Scenario
from ecom_lab.simulator.suites import Job, explore

STREETS = ("high-street", "mill-lane", "quay")


class Switchboard:
    """The world outside: lamps are turned once for each key."""

    name, call, is_open = "switchboard", "turn", True

    def perform(self, ledger, seq, key, effect):
        if all(known != key for _, known in ledger):
            ledger = (*ledger, (effect.street, key))
        return ledger, Performed(seq, LevelSet(effect.street))


def turned_once(view):
    """The lamps of a street are turned once."""
    turned = [street for street, _ in view.services["lamp"].ledger]
    yield from {f"{street} was turned twice" for street in turned if turned.count(street) > 1}


def bright_again(view):
    """Every street that was dimmed is bright in the end, and its sensor knows."""
    readings, streets = view.rows("sensor", Reading), view.rows("lamp", Street)
    for street, reading in readings.items():
        if reading.state != "RESTORED" or streets[street].state != "BRIGHT":
            yield f"{street} is {reading.state}"


ONE = Scenario(
    saga=lamps(),
    clients=(Client("watcher", (Report(STREETS[0], 40),)),),
    outside={"lamp": Switchboard()},
    properties=(*promises(ALWAYS, turned_once), *promises(SETTLED, bright_again)),
    unordered=("log",),
)
THREE = replace(
    ONE,
    clients=tuple(Client(f"watcher-{n}", (Report(it, 40),)) for n, it in enumerate(STREETS)),
    faults=0,
)
CROWDED = replace(THREE, batch=2, windows=(1, 1))


@pytest.mark.parametrize("scenario", [ONE, replace(ONE, batch=2), THREE, CROWDED])
def test_another_saga_is_explored_exhaustively(scenario):
    """One street with any fault, three without: every promise is kept, and every street ends."""
    result = explore(Job(scenario))
    assert result.exhaustive
    assert result.violations == []
    assert result.quiet_states > 0


def stay_dim(timer, work):
    """Nobody remembers the lamps."""


@pytest.mark.parametrize(
    ("without", "scenario"),
    [
        (having(runtime=NoOutbox), ONE),
        (having(runtime=AckFirst), ONE),
        (having(runtime=NeverBehind), CROWDED),
        (answering("lamp", {Restore: stay_dim}), ONE),
    ],
)
def test_a_safeguard_less_is_noticed_by_a_promise_of_its_own(without, scenario):
    """The machinery's, or a handler's; and the story is told in the saga's own words."""
    story = shortest(without(scenario))
    assert story.violation.promise == "bright-again"
    assert "asks: report" in str(story)


def test_the_story_names_the_saga_by_what_it_is_of():
    """Its events' first field is `street`."""
    story = shortest(answering("lamp", {Restore: stay_dim})(THREE))
    assert "lamp handles sensor.dusk of street high-street" in str(story)
    assert "lamp reaches the restore of street high-street" in str(story)
    assert "clock" in story.diagram.lifelines
