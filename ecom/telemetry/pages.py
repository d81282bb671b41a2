"""Pages of metrics for Prometheus: what a process counts in memory, and what its database says.

Counters are counted there in the transaction that does the work: so they survive restarts. Depths
are counted by an index each. Replicas of a service share a database, and all say the same of it:
`max by (service)`, not `sum`.
"""

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from threading import active_count
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest, make_wsgi_app
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import ThreadingWSGIServer

from ecom.errors import ShopError
from ecom.runtime import streams
from ecom.runtime.streams import size
from ecom.runtime.tables import Effect, Inbox, Letter, Outbox, Received, Timer
from ecom.stores.base import Row
from ecom.stores.query import ANY, MoreThan
from ecom.stores.reader import Database
from ecom.stores.reading import totals
from ecom.telemetry.metrics import Metrics

PATIENCE = 10.0  # seconds for a request to come
MOST_THREADS = 64  # of the process: each request has one
_BY_TYPE = {
    "received": ("ecom_events_received", "Events that have come, or never will; each once."),
    "handled": ("ecom_events_handled", "Events handled: done, or dead; a replay once more."),
    "emitted": ("ecom_events_emitted", "Events emitted: they are, or will be, published."),
}
_COUNTERS = {
    "duplicates": ("ecom_duplicates", "Events that came again, and were ignored."),
    "replayed": ("ecom_replayed", "Messages that an operator put into our queue again."),
    "dropped": ("ecom_dropped", "Dead letters that an operator dropped."),
    "dead": ("ecom_dead_letters", "Messages set aside as dead letters."),
}
_SECONDS = "How long steps (one transaction each) took."
_INPUTS = "How many inputs a step handled."
_LAG = "Age of the oldest event of the last batch when that was committed; 0: none waits."
_CONNECTED = "Whether the broker is connected."
_WAL = "Size of the database's write-ahead log: it grows while somebody keeps a reader open."
_READABLE = "Whether the database could be read for this page."
_DEPTHS: dict[str, tuple[str, type[Row], dict[str, Any]]] = {  # each counted by an index
    "outbox_unsent": ("Messages the broker has not confirmed yet.", Outbox, {"done_at": None}),
    "inbox_waiting": ("Events that failed and wait for another try.", Inbox, {"due": ANY}),
    "dead_letters_left": ("Dead letters not replayed or dropped.", Letter, {"ended_at": None}),
    "effects_pending": ("Effects asked for and not done.", Effect, {"done_at": None}),
    "effects_retrying": (
        "Effects among the pending ones that failed before.",
        Effect,
        {"done_at": None, "attempts": MoreThan(0)},
    ),
    "timers_set": ("Deadlines to come.", Timer, {}),
}
_AGES: dict[str, tuple[str, type[Row], str, dict[str, Any]]] = {
    "outbox": ("message the broker has not confirmed", Outbox, "created_at", {"done_at": None}),
    "inbox": ("event that waits for another try", Inbox, "at", {"due": ANY}),
    "effects": ("effect that is not done", Effect, "created_at", {"done_at": None}),
}

log = logging.getLogger("ecom.metrics")


class Pages:
    """Pages of one process's metrics, for any thread; a collector for Prometheus's registry."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics, self._service = metrics, metrics.service
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def page(self) -> bytes:
        """All metrics, in Prometheus's format."""
        return generate_latest(self._registry)

    def serve(self, listening: socket.socket) -> None:
        """Serve pages on this socket, for ever."""
        server = _Server(listening.getsockname(), _Handler, bind_and_activate=False)
        server.socket.close()
        server.socket, (server.server_name, server.server_port) = listening, server.server_address
        server.setup_environ()
        server.set_app(make_wsgi_app(self._registry))
        server.serve_forever()

    def collect(self) -> Iterator[Metric]:
        """The metrics, one after the other; of a database that cannot be read, only that."""
        yield self._gauge("ecom_lag_seconds", _LAG, self._metrics.lag)
        yield self._gauge("ecom_broker_connected", _CONNECTED, self._metrics.connected())
        for name, help, histogram in (
            ("ecom_step_seconds", _SECONDS, self._metrics.seconds),
            ("ecom_step_inputs", _INPUTS, self._metrics.inputs),
        ):
            family = HistogramMetricFamily(name, help, labels=["service"])
            family.add_metric([self._service], histogram.buckets(), histogram.sum)
            yield family
        try:
            found = self._read()
        except ShopError as error:
            log.warning("The database cannot be read for its metrics: %s", error)
            found = []
        yield self._gauge("ecom_database_readable", _READABLE, bool(found))
        yield from found

    def _gauge(self, name: str, help: str, value: float) -> Metric:
        family = GaugeMetricFamily(name, help, labels=["service"])
        family.add_metric([self._service], value)
        return family

    def _read(self) -> list[Metric]:
        opened = self._metrics.reading or partial(Database, self._metrics.folder, self._service)
        with closing(opened()) as read, read.moment():
            came = streams.came(read.rows(Received)).items()
            received = {f"received:{stream}": size(ranges) for stream, ranges in came}
            found, now = list(self._counters(read.counters() | received)), time.time()
            for name, (help, kind, which) in _DEPTHS.items():
                found.append(self._gauge(f"ecom_{name}", help, read.count(kind, **which)))
            found.append(self._gauge("ecom_wal_bytes", _WAL, self._metrics.wal_bytes))
            for name, (what, kind, column, which) in _AGES.items():
                age = max(0.0, now - (read.least(kind, column, **which) or now))
                help = f"Age of the oldest {what}."
                found.append(self._gauge(f"ecom_{name}_oldest_seconds", help, age))
            return found

    def _counters(self, counters: dict[str, int]) -> Iterator[Metric]:
        for prefix, (name, help) in _BY_TYPE.items():
            family = CounterMetricFamily(name, help, labels=["service", "type"])
            for key, value in totals(counters).items():
                if key.startswith(f"{prefix}:"):
                    family.add_metric([self._service, key.partition(":")[2]], value)
            yield family
        for key, (name, help) in _COUNTERS.items():
            family = CounterMetricFamily(name, help, labels=["service"])
            family.add_metric([self._service], counters.get(key, 0))
            yield family


class _Handler(WSGIRequestHandler):
    timeout = PATIENCE

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a log that others fill is of no use."""


class _Server(ThreadingWSGIServer):
    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether there is room for its thread: else its connection is closed."""
        return active_count() < MOST_THREADS

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: whoever asked did not ask well, or has gone."""
