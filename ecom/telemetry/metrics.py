"""Metrics of one process, as Prometheus reads them: `GET /metrics`, on the loopback only.

Counted in memory is what steps take, once a step and not once a message: that costs less than a
microsecond. All else is read when somebody asks, in the thread of whoever asks: no event waits.
"""

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest, make_wsgi_app
from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.exposition import ThreadingWSGIServer

from ecom.runtime.messages import Delivery, Tick
from ecom.telemetry.numbers import Numbers, gauge

TYPE = "text/plain; version=0.0.4; charset=utf-8"  # of a page
PATIENCE = 10.0  # seconds for a request to come
STEP_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
STEP_INPUTS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000)

_SECONDS = "How long steps (one transaction each) took."
_INPUTS = "How many inputs a step handled."
_LAG = "Age of the oldest event of the last batch when that was committed; 0: none waits."
_CONNECTED = "Whether the broker is connected."


class Histogram:
    """How many values were at most so much. Prometheus's own takes three times as long to add."""

    def __init__(self, name: str, help: str, bounds: Sequence[float]) -> None:
        self.name, self.help, self._bounds = name, help, bounds
        self._counts = [0] * (len(bounds) + 1)  # the last: above all bounds
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, float]]:
        """Bounds and cumulative counts, as Prometheus wants them."""
        return list(zip([*map(str, self._bounds), "+Inf"], accumulate(self._counts), strict=True))


class Metrics:
    """One process's metrics; `connected` says whether the broker is. Pages may be asked for from
    any thread."""

    def __init__(self, service: str, folder: Path, connected: Callable[[], bool]) -> None:
        self._service, self._connected = service, connected
        self._seconds = Histogram("ecom_step_seconds", _SECONDS, STEP_SECONDS)
        self._inputs = Histogram("ecom_step_inputs", _INPUTS, STEP_INPUTS)
        self._oldest: tuple[Mapping[str, Any] | None, float] = (None, 0.0)
        self._registry = CollectorRegistry()
        self._registry.register(Numbers(folder, service))
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def step(self, batch: Sequence[Any], start: float, end: float) -> None:
        """Count one step; times in epoch seconds. A tick by itself is no work."""
        if len(batch) == 1 and type(batch[0]) is Tick:
            self._oldest = (None, 0.0)
            return
        self._seconds.add(max(0.0, end - start))
        self._inputs.add(len(batch))
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

    def collect(self) -> Iterator[Metric]:
        """What is counted in memory; Prometheus's registry calls this."""
        yield gauge(self._service, "ecom_lag_seconds", _LAG, self.lag)
        yield gauge(self._service, "ecom_broker_connected", _CONNECTED, self._connected())
        for histogram in (self._seconds, self._inputs):
            family = HistogramMetricFamily(histogram.name, histogram.help, labels=["service"])
            family.add_metric([self._service], histogram.buckets(), histogram.sum)
            yield family

    def page(self) -> bytes:
        """All metrics, as `TYPE`."""
        return generate_latest(self._registry)

    def serve(self) -> str:
        """Serve pages on any free port, from threads that end with the process; their address."""
        app = make_wsgi_app(self._registry)
        server = make_server("127.0.0.1", 0, app, _Server, _Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/metrics"


class _Handler(WSGIRequestHandler):
    timeout = PATIENCE

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a log that others fill is of no use."""


class _Server(ThreadingWSGIServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: whoever asked did not ask well, or has gone."""
