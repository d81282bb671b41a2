"""What a process counts of itself and its database, and how that becomes a page for Prometheus."""

import socket
import sqlite3
from contextlib import closing, suppress
from functools import partial
from urllib.parse import urlsplit

import pytest
from helpers import EXAMPLES, wire
from scraping import families, value

from ecom.errors import ShopError
from ecom.process.databases import Files
from ecom.runtime.messages import Delivery, Tick
from ecom.runtime.tables import Counter, Received
from ecom.shop.provision import provision
from ecom.stores import sql
from ecom.stores.base import Transaction
from ecom.stores.sqlite import SqliteStore
from ecom.telemetry.metrics import _AGES, _DEPTHS, MOST_THREADS, WAL_LIMIT, Metrics, port_of
from ecom_lab.shop import SAGA


def measured(folder):
    """Audit's metrics, without an audit."""
    return Metrics("audit", folder, lambda: True, partial(Files(folder).reading, "audit"))


def read(metrics, name, **labels):
    return value(families(metrics.page().decode()), name, service="audit", **labels)


@pytest.fixture
def metrics(tmp_path):
    provision(SAGA, tmp_path)
    return measured(tmp_path)


def put(folder, row):
    with closing(SqliteStore(Files(folder).path("audit"))) as store:
        tx = Transaction(store)
        tx[type(row)].put(row)
        tx.commit()


def test_counters_are_read_from_the_database(metrics, tmp_path):
    """So they survive a restart; of what has come, each event counts once."""
    put(tmp_path, Counter("emitted:order.created", 7))
    put(tmp_path, Received("order.created", [(1, 3), (5, 6)]))
    assert read(metrics, "ecom_events_emitted_total", type="order.created") == 7
    assert read(metrics, "ecom_events_received_total", type="order.created") == 5
    assert read(metrics, "ecom_duplicates_total") == 0


def test_what_each_replica_has_counted_for_itself_is_told_as_one(metrics, tmp_path):
    """Where they share a database, a counter's name ends in @ and the replica."""
    put(tmp_path, Counter("duplicates", 1))
    put(tmp_path, Counter("duplicates@2", 3))
    assert read(metrics, "ecom_duplicates_total") == 4


def test_every_depth_is_read_by_an_index(metrics, tmp_path):
    """A scrape must not cost more from year to year."""
    shapes = [(sql.select(kind, "count(*)", (), sql.shape_of(which)), which)
              for _, kind, which in _DEPTHS.values()]  # fmt: skip
    shapes += [(sql.select(kind, "min({0})", (column,), sql.shape_of(which)), which)
               for _, kind, column, which in _AGES.values()]  # fmt: skip
    with closing(sqlite3.connect(Files(tmp_path).path("audit"))) as db:
        plan = [row[3] for statement, which in shapes for row in
                db.execute(f"EXPLAIN QUERY PLAN {statement}", sql.values_of(which))]  # fmt: skip
    reading = [step for step in plan if step.startswith(("SCAN", "SEARCH"))]
    assert len(reading) == 9
    assert all(" USING " in step for step in reading), reading


def test_without_its_database_a_process_still_tells_of_itself(tmp_path):
    """Exactly then somebody will look."""
    page = families(measured(tmp_path).page().decode())
    assert value(page, "ecom_database_readable", service="audit") == 0
    assert value(page, "ecom_broker_connected", service="audit") == 1
    assert "ecom_outbox_unsent" not in page


def at(published_at):
    """A delivery of an event that was published then."""
    headers, body = wire(EXAMPLES["order.confirmed"])
    return Delivery(1, 1, "events", "order.confirmed", headers | {"ce-time": published_at}, body)


def test_the_lag_is_the_age_of_the_oldest_event_until_all_is_quiet(metrics):
    """Of the last batch, when it was committed; a tick with nothing else is silence."""
    early, late = "2026-11-23T18:00:00.000Z", "2026-11-23T18:00:09.000Z"
    now = 1_795_456_810.0  # ten seconds after the first
    metrics.step([Tick(), at(early), at(late)], now - 1, now)
    assert metrics.lag == 10
    metrics.step([at(late)], now - 1, now)
    assert metrics.lag == read(metrics, "ecom_lag_seconds") == 1
    metrics.step([Tick()], now, now)
    assert metrics.lag == 0
    assert read(metrics, "ecom_step_seconds_count") == 2


@pytest.mark.parametrize("time", [None, 5, b"2026", "yesterday", "9999-99-99"])
def test_what_says_no_time_has_no_age(metrics, time):
    """Headers may hold anything."""
    metrics.step([at(time), Delivery(1, 2, "", "key", None, b"")], 0.0, 1.0)
    assert metrics.lag == 0


def test_a_clock_that_is_behind_makes_no_negative_age(metrics):
    metrics.step([at("2036-01-01T00:00:00Z")], 1.0, 0.5)
    assert (metrics.lag, read(metrics, "ecom_step_seconds_sum")) == (0, 0)


def test_a_histogram_counts_what_is_at_most_its_bound(metrics):
    """Cumulative, the bound included, as Prometheus has it."""
    for inputs in (1, 1, 2, 5, 1_001):
        metrics.step([at(None)] * inputs, 0.0, 1.0)
    bounds = {"1.0": 2, "2.0": 3, "5.0": 4, "1000.0": 4, "+Inf": 5}
    for bound, count in bounds.items():
        assert read(metrics, "ecom_step_inputs_bucket", le=bound) == count
    assert read(metrics, "ecom_step_inputs_sum") == 1_010


def test_each_process_has_a_port_of_its_own_which_it_keeps():
    """What Prometheus asks after a restart is where it was; replicas do not meet the services."""
    services = ["order", "inventory", "payment", "notification", "audit"]
    ports = [port_of(9_400, services, name, replica) for name in services for replica in "12"]
    assert sorted(ports) == [*range(9_400, 9_405), *range(9_410, 9_415)]
    assert port_of(0, services, "audit", "1") == 0
    assert (
        port_of(9_400, services, "audit", "blue") == port_of(65_000, services, "audit", "99") == 0
    )


def test_a_port_that_others_have_is_refused_in_a_sentence(metrics):
    """It names the settings."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ShopError) as refused:
        metrics.serve("127.0.0.1", taken.getsockname()[1])
    assert "choose another ECOM_METRICS_PORT" in str(refused.value)


def test_a_reader_that_is_left_open_is_seen_by_the_log_that_grows(metrics, tmp_path):
    """The write-ahead log cannot be begun anew while somebody reads what was before it."""
    path = Files(tmp_path).path("audit")
    with closing(sqlite3.connect(path)) as reader, closing(sqlite3.connect(path)) as writer:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM inbox").fetchone()
        sizes = []
        for n in range(2):
            writer.execute("INSERT OR REPLACE INTO counters VALUES (?, 1)", ("x" * 10**6 + str(n),))
            writer.commit()
            sizes.append(read(metrics, "ecom_wal_bytes"))
    assert sizes[1] > sizes[0] > 10**6


def test_a_large_write_ahead_log_is_said_each_time_it_has_doubled(metrics, tmp_path, caplog):
    """Somebody keeps a reader open, and the disk fills; the metric says the same."""
    said = []
    for size in (WAL_LIMIT, WAL_LIMIT + 1, 2 * WAL_LIMIT, 3 * WAL_LIMIT, 0):
        with (tmp_path / "audit.db-wal").open("wb") as wal:
            wal.truncate(size)  # of holes
        metrics.look_at_wal()
        said.append((metrics.wal_bytes == size, len(caplog.messages)))
    assert said == [(True, n) for n in (0, 1, 1, 2, 2)]
    assert "has 256 MiB: a reader stays open" in caplog.text


def test_silent_connections_beyond_a_number_are_closed_and_leave_room_again(metrics, wait_for):
    """Each takes a thread: of those who say nothing there are so many, and no more."""
    place = urlsplit(metrics.serve())
    silent = [socket.create_connection((place.hostname, place.port)) for _ in range(MOST_THREADS)]
    assert silent[-1].recv(1) == b""  # there are other threads, too
    silent[0].setblocking(False)
    with pytest.raises(BlockingIOError):  # while those before it are waited for
        silent[0].recv(1)
    for each in silent:
        each.close()
    wait_for(lambda: b"ecom_lag_seconds" in _answer(place))


def _answer(place):
    with socket.create_connection((place.hostname, place.port)) as asking:
        asking.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        with suppress(ConnectionError):
            return asking.makefile("rb").read()
    return b""
