"""A saga of one's own gets what the shop has: a real broker, replicas, kills, history, books."""

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from ecom import Running
from ecom.errors import ServiceDown, ShopError
from examples.trip.invariants import ALWAYS, SETTLED
from examples.trip.saga import OUTSIDE, trip
from examples.trip.services import BookTrip, Rooms, Trip

TRIPS, KILLS = 120, 6
WHO = ("ada", "no licence", "too late")
PROCESSES = [(name, "1") for name in ("trip", "hotel")] + [
    (name, n) for name in ("car", "flight") for n in "12"
]


@pytest.fixture
def trips(broker):
    """Trips to Rome, where there are rooms for 30."""
    rooms = {"hotel": [Rooms("Rome", 30, 30)]}
    laws = (*ALWAYS, *SETTLED)
    with Running(trip(), rows=rooms, outside=OUTSIDE, invariants=laws, amqp_url=broker) as it:
        yield it


def booked(trips, number):
    """A trip asked for until somebody answers: its id is the traveller's."""

    def is_booked():
        with suppress(ServiceDown):
            return trips.command("trip", BookTrip(str(number), WHO[number % 3], "Rome"))

    trips.wait_until(is_booked)


def kill_some(trips):
    """Kill a process and start it again, six times."""
    for service, replica in random.Random(7).choices(PROCESSES, k=KILLS):
        before = len(trips.events())
        trips.wait_until(lambda before=before: len(trips.events()) >= min(before + 20, 3 * TRIPS))
        trips.kill(service, replica)
        trips.start(service, replica)


def test_its_books_balance_however_often_its_processes_are_killed(trips):
    """Every trip has room, car and ticket, or none of them, once each; and nothing is dead."""
    for service in ("car", "flight"):
        trips.start(service, "2")
    with ThreadPoolExecutor(9) as pool:
        killing = pool.submit(kill_some, trips)
        list(pool.map(lambda number: booked(trips, number), range(TRIPS)))
        killing.result()
    trips.settle(120)
    assert str(trips.books()) == "The books balance."
    assert trips.dead.list().empty
    ended = trips.table("trip", "trips")
    assert len(ended) == TRIPS
    assert set(ended.state) == {"CONFIRMED", "CANCELLED"}
    assert {"no room", "no licence", "no seat"} >= set(ended.reason) - {""}


def test_it_is_told_and_shown_in_its_own_words(trips):
    """A command's answer is the row that its handler returned; tables, events and history say how
    it went on; what is no command of the service is refused in a sentence."""
    assert trips.command("trip", BookTrip("1", "too late", "Rome")) == Trip("1")
    trips.settle()
    assert trips.command("trip", BookTrip("1", "ada", "Oslo")) == Trip("1", "CANCELLED", "no seat")
    assert trips.table("car", "cars").to_dict("records") == [
        {"trip_id": "1", "state": "RETURNED", "fee": 2500}
    ]
    events = trips.events("1")
    assert list(events.columns) == ["trip_id", "type", "producer", "caused_by"]
    assert events.set_index("type").caused_by["trip.cancelled"] == "flight.refused"
    assert "hotel → car                hotel.held" in str(trips.history("1"))
    with pytest.raises(ShopError, match="hotel does not handle BookTrip"):
        trips.command("hotel", BookTrip("2", "ada", "Rome"))
    trips.kill("trip")
    with pytest.raises(ServiceDown, match="trip"):
        trips.command("trip", BookTrip("3", "ada", "Rome"))


def test_books_that_do_not_balance_say_which_invariant_is_violated(broker):
    """By its name, with what is wrong."""

    def nobody_goes(books):
        """A promise that no trip keeps."""
        yield from (f"{id_} is {it.state}" for id_, it in books.rows("trip", Trip).items())

    with Running(trip(), outside=OUTSIDE, invariants=[nobody_goes], amqp_url=broker) as trips:
        trips.command("trip", BookTrip("1", "ada", "Rome"))
        trips.settle()
        assert str(trips.books()) == "nobody-goes: 1 is CANCELLED"
        assert not trips.books().balanced
    with pytest.raises(ShopError, match="closed"):
        trips.books()
