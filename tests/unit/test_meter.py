"""What a process counts of itself, and how that becomes a page for Prometheus."""

from contextlib import closing

import pytest
from helpers import EXAMPLES, wire
from scraping import families, value

from ecom.process.driver import database, provision
from ecom.runtime.messages import Delivery, Tick
from ecom.runtime.tables import Counter
from ecom.stores.base import Transaction
from ecom.stores.reader import connect
from ecom.stores.sqlite import SqliteStore
from ecom.telemetry.meter import Meter, Spread
from ecom.telemetry.numbers import _FOUND, Numbers


@pytest.fixture
def numbers(tmp_path):
    """Audit's numbers, without an audit."""
    provision(tmp_path)
    return Numbers(tmp_path, "audit", Meter())


def count(folder, name, number):
    with closing(SqliteStore(database(folder, "audit"))) as store:
        tx = Transaction(store)
        tx[Counter].put(Counter(name, number))
        tx.commit()


def test_a_counter_never_falls(numbers, tmp_path):
    """When a dead letter is replayed, its event is to be handled again, and for a while one less
    is handled: Prometheus would take that for a restart, and count all again."""
    seen = []
    for number in (5, 4, 5, 6):
        count(tmp_path, "handled:order.created", number)
        seen.append(value(families(numbers.page(True).decode()), "ecom_events_handled_total"))
    assert seen == [5, 5, 5, 6]


def test_every_depth_is_read_by_an_index(numbers, tmp_path):
    """A scrape must not cost more from year to year."""
    with closing(connect(tmp_path, "audit")) as db:
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {_FOUND}")]
    reading = [step for step in plan if step.startswith(("SCAN", "SEARCH"))]
    assert len(reading) == 10
    assert all(" USING " in step for step in reading), reading


def at(said_at):
    """A delivery of an event that was said then."""
    headers, body = wire(EXAMPLES["order.confirmed"])
    return Delivery(1, 1, "events", "order.confirmed", headers | {"ce-time": said_at}, body)


def test_the_lag_is_the_age_of_the_oldest_event_until_all_is_quiet():
    """Of the last batch, when it was committed; a tick with nothing else is silence."""
    meter = Meter()
    early, late = "2026-11-23T18:00:00.000Z", "2026-11-23T18:00:09.000Z"
    now = 1_795_456_810.0  # ten seconds after the first
    meter.step([Tick(), at(early), at(late)], now - 1, now)
    assert meter.lag == 10
    meter.step([at(late)], now - 1, now)
    assert meter.lag == 1
    meter.step([Tick()], now, now)
    assert meter.lag == 0
    assert sum(meter.seconds.counts) == sum(meter.inputs.counts) == 2


@pytest.mark.parametrize("time", [None, 5, b"2026", "yesterday", "9999-99-99"])
def test_what_says_no_time_has_no_age(time):
    """Headers may hold anything."""
    meter = Meter()
    meter.step([at(time), Delivery(1, 2, "", "key", None, b"")], 0.0, 1.0)
    assert meter.lag == 0


def test_a_clock_that_is_behind_makes_no_negative_age():
    meter = Meter()
    meter.step([at("2036-01-01T00:00:00Z")], 1.0, 0.5)
    assert (meter.lag, meter.seconds.total) == (0, 0)


def test_a_histogram_counts_what_is_at_most_its_bound():
    """Cumulative, the bound included, as Prometheus has it."""
    spread = Spread((1, 10))
    for number in (0, 1, 2, 10, 11):
        spread.add(number)
    assert spread.buckets() == [("1", 2), ("10", 4), ("+Inf", 5)]
    assert spread.total == 24
