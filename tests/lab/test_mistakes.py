"""Mistakes in a saga of one's own: each is told in a sentence, and none passes for a proof."""

from dataclasses import replace

import pytest
from msgspec import Struct

from ecom import Running
from ecom.errors import ShopError
from ecom_lab.simulator import Job, answering, explore, shortest
from examples.trip import events
from examples.trip.saga import trip
from examples.trip.services import BookTrip, Rooms, Stay
from examples.trip.worlds import GOES


class Mistyped(Struct, frozen=True):
    """A command that no service handles."""

    trip_id: str


def hold(trip, work):
    """Forget that a row may be missing."""
    work[Rooms].put(replace({}[trip.city], free=0))


def test_a_story_says_what_was_set_aside_and_why():
    """A handler that raises is tried again, as often as its `Retry` says: the story ends with what
    it raised, and for which message."""
    story = shortest(answering("hotel", {events.TripRequested: hold})(GOES))
    assert "hotel has set aside trip.requested of trip trip-0: KeyError: 'Rome'" in str(story)


def test_rows_that_no_service_declares_are_refused():
    """In memory any row could be kept; in a database there would be no table."""
    hotel = replace(GOES.saga.services["hotel"], rows=(Rooms,))
    with pytest.raises(ValueError, match=f"hotel has no rows {Stay.__name__}"):
        explore(Job(replace(GOES, saga=GOES.saga.replacing(hotel))))


def test_a_command_that_nobody_handles_is_refused():
    """Else nothing would happen in any history, and no promise be violated."""
    client = GOES.clients[0]._replace(requests=(Mistyped("1"),))
    with pytest.raises(ValueError, match="asks for Mistyped, which nobody handles"):
        explore(Job(replace(GOES, clients=(client,))))


def test_a_mistake_in_the_handler_of_a_command_is_raised():
    """It would be a refusal, after which nothing happens, either."""

    def book(wish, work):
        return wish.nobody

    with pytest.raises(AttributeError, match="nobody"):
        explore(Job(answering("trip", {BookTrip: book})(GOES)))


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({}, "Who performs the effects of car"),
        ({"outside": {"flights": print}}, "There is no service 'flights': choose of trip, hotel"),
        ({"rows": {"hotels": []}}, "There is no service 'hotels': choose of trip, hotel"),
    ],
    ids=["nobody outside", "outside of nobody", "rows of nobody"],
)
def test_what_cannot_run_is_not_begun(given, complaint):
    """Before any process or broker is started."""
    with pytest.raises(ShopError, match=complaint):
        Running(trip(), **given)
