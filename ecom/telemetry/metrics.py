"""Metrics of one process, as Prometheus reads them: `GET /metrics`, on the loopback only.

Counted in memory is what steps take, once a step and not once a message: that costs less than a
microsecond. All else is read, and even loaded, when somebody asks, in a thread of its own: no event
waits, and a shop opens 50 ms sooner.
"""

import logging
import select
import socket
import threading
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecom.errors import ShopError
from ecom.runtime.messages import Delivery, Tick

if TYPE_CHECKING:
    from ecom.telemetry.pages import Pages

TYPE = "text/plain; version=0.0.4; charset=utf-8"  # of a page
STEP_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
STEP_INPUTS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000)
# Bytes that no write-ahead log has whose readers come to an end (docs/alerts.yml).
WAL_LIMIT = 2**28

log = logging.getLogger("ecom.metrics")


def port_of(first: int, services: Sequence[str], service: str, replica: str) -> int:
    """The port of a process if the first service has `first` (0: any): the services' follow one
    another, and their second replicas' ten further, and so on; any for a replica with a name."""
    if not first or not (replica.isascii() and replica.isdecimal()):
        return 0
    port = first + services.index(service) + 10 * (int(replica) - 1)
    return port if first <= port < 65_536 else 0


class Histogram:
    """How many values were at most so much. Prometheus's own takes three times as long to add."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
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

    def __init__(
        self,
        service: str,
        folder: Path | None,
        connected: Callable[[], bool],
        reading: Callable[[], Any] | None = None,
    ) -> None:
        self.service, self.folder, self.connected = service, folder, connected
        self.reading = reading  # opens the database to be read; None: the file in the folder
        self.seconds = Histogram(STEP_SECONDS)
        self.inputs = Histogram(STEP_INPUTS)
        self._oldest: tuple[Mapping[str, Any] | None, float] = (None, 0.0)
        self._wal_limit = WAL_LIMIT

    def step(self, batch: Sequence[Any], start: float, end: float) -> None:
        """Count one step; times in epoch seconds. A tick by itself is no work."""
        if len(batch) == 1 and type(batch[0]) is Tick:
            self._oldest = (None, 0.0)
            return
        self.seconds.add(max(0.0, end - start))
        self.inputs.add(len(batch))
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
            if self.folder is None:
                return 0
            return (self.folder / f"{self.service}.db-wal").stat().st_size
        return 0

    def look_at_wal(self) -> None:
        """Say in the log when the write-ahead log is large, and each time that it has doubled."""
        if (size := self.wal_bytes) > self._wal_limit:
            self._wal_limit = 2 * size
            log.warning("The write-ahead log has %d MiB: a reader stays open", size >> 20)

    @cached_property
    def _pages(self) -> "Pages":
        from ecom.telemetry.pages import Pages

        return Pages(self)

    def page(self) -> bytes:
        """All metrics, as `TYPE`."""
        return self._pages.page()

    def serve(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Serve pages on this port (0: any that is free), from threads that end with the process;
        their address. Raises `ShopError` if others have the port."""
        try:
            listening = socket.create_server((host, port))
        except OSError as error:
            raise ShopError(
                f"Metrics of {self.service} cannot be served at {host}:{port} ({error.strerror}): "
                "choose another ECOM_METRICS_PORT or ECOM_METRICS_HOST."
            ) from error
        threading.Thread(target=self._serve, args=[listening], daemon=True).start()
        return "http://{}:{}/metrics".format(*listening.getsockname())

    def _serve(self, listening: socket.socket) -> None:
        select.select([listening], [], [])
        self._pages.serve(listening)
