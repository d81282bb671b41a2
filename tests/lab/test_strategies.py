"""Hypothesis strategies of a saga of one's own: any event, and histories of too large a world."""

import sys
from typing import Annotated

import pytest
from hypothesis import find, given, settings
from msgspec import Meta

from ecom import Contract, Event, Saga, Service
from ecom.errors import NotInstalled
from ecom_lab.strategies import events, histories
from examples.trip import invariants
from examples.trip.ablations import ALL
from examples.trip.saga import trip
from examples.trip.worlds import world

FEW = settings(max_examples=6, derandomize=True, database=None, deadline=None)
CROWD = world("ada", "bob", "no licence", "too late", rooms=2, faults=3)
LOOKS = next(it for it in ALL if it.name == "vacate-looks")


def problems(history):
    """Every way in which a history violates a promise of the trip."""
    laws = [(law, books) for books in history.books for law in invariants.ALWAYS]
    if history.settled:
        laws += [(law, history.books[-1]) for law in invariants.SETTLED]
    return [problem for law, books in laws for problem in law(books)]


@FEW
@given(histories(CROWD))
def test_promises_are_kept_in_a_world_too_large_to_explore(history):
    """Four travellers, two rooms, three faults: along histories chosen at random."""
    assert problems(history) == []
    assert len(history.books) == len(history.steps) + 1


def test_a_history_that_violates_a_promise_is_found_and_shrinks():
    """To few steps, none of them beside the point."""
    history = find(histories(LOOKS.broken), problems, settings=settings(FEW, max_examples=20))
    assert 2 <= len(history.steps) <= 20


def test_any_event_is_one_that_a_consumer_can_read():
    """Of each type, whatever is in it; and nothing out of its bounds."""

    class Weighed(Event, frozen=True):
        key, producer = "scales.weighed", "scales"

        parcel_id: str
        grams: Annotated[int, Meta(ge=1)]

    saga = trip()
    both = Contract(
        "both", (*saga.contract.events, Weighed), saga.contract.listens | {"scales": ()}
    )
    any_event = events(Saga(both, {**saga.services, "scales": Service("scales", (), {})}))

    @settings(FEW, max_examples=60)
    @given(any_event)
    def is_read(event):
        assert getattr(event, "grams", 1) >= 1

    is_read()
    for kind in both.events:  # among so many, none is missed by chance
        find(
            any_event,
            lambda it, kind=kind: type(it) is kind,
            settings=settings(FEW, max_examples=500),
        )


def test_without_hypothesis_one_is_told_what_to_install(monkeypatch):
    """In a sentence: nothing else of the package needs it."""
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    monkeypatch.delitem(sys.modules, "ecom_lab.strategies")
    with pytest.raises(NotInstalled, match="pip install hypothesis"):
        __import__("ecom_lab.strategies")
