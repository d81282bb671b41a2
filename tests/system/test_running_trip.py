"""A saga of one's own gets what the shop has: a real broker, replicas, kills, history, books."""

import re
import sqlite3
from contextlib import closing
from types import SimpleNamespace

import httpx
import pytest

from ecom import Running
from ecom.errors import ServiceDown, ShopError
from examples.trip.saga import OUTSIDE, trip
from examples.trip.services import BookTrip, Trip
from examples.trip.trial import TRIPS, to_rome


@pytest.fixture
def trips(broker):
    """Trips to Rome, where there are rooms for two of eight."""
    with to_rome(8, amqp_url=broker) as it:
        yield it


def test_a_trial_finds_what_is_lost_unexpected_or_doubled(trips):
    """Nobody has asked for trip 1, and trip 2, which somebody was promised, there is not."""
    trips.command("trip", BookTrip("1", "ada", "Rome"))
    trips.settle()
    for service in "car", "flight":
        with closing(sqlite3.connect(trips.folder / f"{service}-outside.db")) as ledger, ledger:
            ledger.execute("INSERT INTO ledger SELECT key || 'x', effect, answer FROM ledger")
    books, counts = TRIPS.judge(trips, SimpleNamespace(attempted={"2"}, acknowledged={"2": "2"}))
    assert [counts[it] for it in ("lost", "unexpected", "duplicate_effects")] == [1, 1, 2]
    assert books.startswith("off: ")
    assert "HireCar 2 times" in books


def test_it_is_told_and_shown_in_its_own_words(trips):
    """A command's answer is the row that its handler returned; tables, events, history and metrics
    say how it went on; what is no command of the service is refused in a sentence."""
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
    assert str(trips.watch()) == "1 trips: 1 CANCELLED. All is settled."
    metrics = httpx.get(trips.processes.note("car")["metrics"]).text
    assert 'ecom_events_handled_total{service="car",type="hotel.held"} 1.0' in metrics
    assert not re.search("order|stock|payment|customer", metrics)
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
