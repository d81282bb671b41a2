"""Metrics of one process, as Prometheus reads them: `GET /metrics`, on the loopback only.

Counted in memory is what steps take, once a step and not once a message: that costs a few
microseconds. All else is read when somebody asks, in a thread of its own: no event waits. Counters
are counted in the database, in the transaction that does the work: so they survive restarts. Depths
are counted by an index each. Replicas of a service share a database, and all say the same of it:
`max by (service)`, not `sum`.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from socketserver import TCPServer
from threading import Thread, active_count
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import prometheus_client as prometheus
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import ThreadingWSGIServer

from ecom.errors import ShopError
from ecom.runtime import streams
from ecom.runtime.messages import Delivery, Tick
from ecom.runtime.tables import Effect, Inbox, Letter, Outbox, Received, Timer
from ecom.stores.base import Row
from ecom.stores.query import ANY, MoreThan
from ecom.stores.reading import Reading, totals

TYPE = "text/plain; version=0.0.4; charset=utf-8"  # of a page
MOST_THREADS = 64  # of the process: each request has one
STEP_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
STEP_INPUTS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000)
# Bytes that no write-ahead log has whose readers come to an end (docs/alerts.yml).
WAL_LIMIT = 2**28

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


def port_of(first: int, services: Sequence[str], service: str, replica: str) -> int:
    """The port of a process if the first service has `first` (0: any): the services' follow one
    another, and their second replicas' ten further, and so on; any for a replica with a name."""
    if not first or not (replica.isascii() and replica.isdecimal()):
        return 0
    port = first + services.index(service) + 10 * (int(replica) - 1)
    return port if first <= port < 65_536 else 0


class Metrics:
    """One process's metrics; `connected` says whether the broker is, `reading` opens the database
    to be read; its write-ahead log lies in `folder`, unless a server has it. Pages may be asked for
    from any thread."""

    def __init__(
        self,
        service: str,
        folder: Path | None,
        connected: Callable[[], bool],
        reading: Callable[[], Reading],
    ) -> None:
        self._service, self._folder = service, folder
        self._connected, self._reading = connected, reading
        self._registry = prometheus.CollectorRegistry()
        steps = partial(prometheus.Histogram, labelnames=["service"], registry=self._registry)
        self._seconds = steps("ecom_step_seconds", _SECONDS, buckets=STEP_SECONDS).labels(service)
        self._inputs = steps("ecom_step_inputs", _INPUTS, buckets=STEP_INPUTS).labels(service)
        prometheus.ProcessCollector(registry=self._registry)
        self._registry.register(self)
        self._oldest: tuple[Mapping[str, Any] | None, float] = (None, 0.0)
        self._wal_limit = WAL_LIMIT

    def step(self, batch: Sequence[Any], start: float, end: float) -> None:
        """Count one step; times in epoch seconds. A tick by itself is no work."""
        if len(batch) == 1 and type(batch[0]) is Tick:
            self._oldest = (None, 0.0)
            return
        self._seconds.observe(max(0.0, end - start))
        self._inputs.observe(len(batch))
        for each in batch:
            if type(each) is Delivery:
                self._oldest = (each.headers, end)
                break

    @property
    def lag(self) -> float:
        """Age in seconds of the oldest event of the last batch when that batch was committed; 0 as
        soon as none waits, and if the event does not say when it was published."""
        headers, end = self._oldest
        try:
            return max(0.0, end - datetime.fromisoformat(headers["ce-time"]).timestamp())
        except (TypeError, KeyError, ValueError, OverflowError):
            return 0.0

    @property
    def wal_bytes(self) -> int:
        """Size of the database's write-ahead log; 0 for a server, which sees to its own."""
        with suppress(FileNotFoundError):
            if self._folder is not None:
                return (self._folder / f"{self._service}.db-wal").stat().st_size
        return 0

    def look_at_wal(self) -> None:
        """Say in the log when the write-ahead log is large, and each time that it has doubled."""
        if (size := self.wal_bytes) > self._wal_limit:
            self._wal_limit = 2 * size
            log.warning("The write-ahead log has %d MiB: a reader stays open", size >> 20)

    def page(self) -> bytes:
        """All metrics, as `TYPE`."""
        return prometheus.generate_latest(self._registry)

    def serve(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Serve pages on this port (0: any that is free), from threads that end with the process;
        their address. Raises `ShopError` if others have the port."""
        try:
            pages = prometheus.make_wsgi_app(self._registry)
            server = make_server(host, port, pages, _Server, _Handler)
        except OSError as error:
            raise ShopError(
                f"Metrics of {self._service} cannot be served at {host}:{port} ({error.strerror}): "
                "choose another ECOM_METRICS_PORT or ECOM_METRICS_HOST."
            ) from error
        Thread(target=server.serve_forever, args=[None], daemon=True).start()  # None: no polling
        return "http://{}:{}/metrics".format(*server.server_address)

    def collect(self) -> Iterator[Any]:
        """The metrics, one after the other; of a database that cannot be read, only that."""
        yield self._gauge("ecom_lag_seconds", _LAG, self.lag)
        yield self._gauge("ecom_broker_connected", _CONNECTED, self._connected())
        try:
            found = [*self._read()]
        except ShopError as error:
            log.warning("The database cannot be read for its metrics: %s", error)
            found = []
        yield self._gauge("ecom_database_readable", _READABLE, bool(found))
        yield from found

    def _read(self) -> Iterator[Any]:
        with closing(self._reading()) as read, read.moment():
            came = streams.came(read.rows(Received)).items()
            received = {f"received:{stream}": streams.size(ranges) for stream, ranges in came}
            yield from self._counters(totals(read.counters() | received))
            for name, (help, kind, which) in _DEPTHS.items():
                yield self._gauge(f"ecom_{name}", help, read.count(kind, **which))
            yield self._gauge("ecom_wal_bytes", _WAL, self.wal_bytes)
            now = time.time()
            for name, (what, kind, column, which) in _AGES.items():
                age = max(0.0, now - (read.least(kind, column, **which) or now))
                yield self._gauge(f"ecom_{name}_oldest_seconds", f"Age of the oldest {what}.", age)

    def _counters(self, counts: Mapping[str, int]) -> Iterator[Any]:
        for what, (name, help) in _BY_TYPE.items():
            family = CounterMetricFamily(name, help, labels=["service", "type"])
            for key, value in counts.items():
                if key.startswith(f"{what}:"):
                    family.add_metric([self._service, key.partition(":")[2]], value)
            yield family
        for what, (name, help) in _COUNTERS.items():
            yield self._family(CounterMetricFamily, name, help, counts.get(what, 0))

    def _gauge(self, name: str, help: str, value: float) -> Any:
        return self._family(GaugeMetricFamily, name, help, value)

    def _family(self, kind: Callable[..., Any], name: str, help: str, value: float) -> Any:
        """A metric that has one value a service."""
        family = kind(name, help, labels=["service"])
        family.add_metric([self._service], value)
        return family


class _Handler(WSGIRequestHandler):
    timeout = 10.0  # seconds for a request to come

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a log that others fill is of no use."""


class _Server(ThreadingWSGIServer):
    request_queue_size = 128

    def server_bind(self) -> None:
        """As its bases do, but without asking for the machine's name, which may take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address
        self.setup_environ()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether there is room for its thread: else its connection is closed."""
        return active_count() < MOST_THREADS

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: whoever asked did not ask well, or has gone."""
