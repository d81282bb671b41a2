"""Metrics of a service's database: how much it has done, and what waits. Read when asked for.

Counters are counted there in the transaction that does the work: so they survive restarts. Depths
are counted by an index each. Replicas of a service share a database, and all say the same of it:
`max by (service)`, not `sum`.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from ecom.errors import ShopError
from ecom.runtime.tables import Effect, Inbox, Outbox, Timer
from ecom.stores.base import Row, StoreUnavailable
from ecom.stores.query import ANY, MoreThan
from ecom.stores.reader import Database

_BY_TYPE = {
    "handled": ("ecom_events_handled", "Events handled: done, or dead; each is counted once."),
    "emitted": ("ecom_events_emitted", "Events emitted: they are, or will be, published."),
}
_COUNTERS = {
    "duplicates": ("ecom_duplicates", "Events that came again, and were ignored."),
    "replayed": ("ecom_replayed", "Messages that an operator put into our queue again."),
    "dead": ("ecom_dead_letters", "Messages set aside as dead letters."),
}
_READABLE = ("ecom_database_readable", "Whether the database could be read for this page.")
_DEPTHS: dict[str, tuple[str, type[Row], dict[str, Any]]] = {  # each counted by an index
    "outbox_unsent": ("Messages the broker has not confirmed yet.", Outbox, {"done_at": None}),
    "inbox_waiting": ("Events that failed and wait for another try.", Inbox, {"due": ANY}),
    "inbox_dead": ("Events that were given up; a replay takes one away.", Inbox, {"state": "dead"}),
    "effects_pending": ("Effects asked for and not done.", Effect, {"done_at": None}),
    "effects_retrying": (
        "Effects among the pending ones that failed before.",
        Effect,
        {"done_at": None, "attempts": MoreThan(0)},
    ),
    "effects_dead": (
        "Effects that were given up; a replay takes one away.",
        Effect,
        {"done_at": ANY, "state": "dead"},
    ),
    "timers_set": ("Deadlines to come.", Timer, {}),
}
_AGES: dict[str, tuple[str, type[Row], str, dict[str, Any]]] = {
    "outbox": ("message the broker has not confirmed", Outbox, "created_at", {"done_at": None}),
    "inbox": ("event that waits for another try", Inbox, "at", {"due": ANY}),
    "effects": ("effect that is not done", Effect, "created_at", {"done_at": None}),
}

log = logging.getLogger("ecom.metrics")


class Numbers:
    """A collector for Prometheus's registry. `collect` may be called from any thread."""

    def __init__(self, folder: Path, service: str) -> None:
        self._folder, self._service = folder, service
        self._highest: dict[str, int] = {}

    def collect(self) -> Iterator[Metric]:
        """The metrics, one after the other; of a database that cannot be read, only that."""
        try:
            found = self._read()
        except (ShopError, StoreUnavailable) as error:
            log.warning("The database cannot be read for its metrics: %s", error)
            yield gauge(self._service, *_READABLE, 0)
        else:
            yield gauge(self._service, *_READABLE, 1)
            yield from found

    def _read(self) -> list[Metric]:
        with closing(Database(self._folder, self._service)) as read, read.moment():
            found, now = list(self._counters(read.counters())), time.time()
            for name, (help, kind, which) in _DEPTHS.items():
                found.append(gauge(self._service, f"ecom_{name}", help, read.count(kind, **which)))
            for name, (what, kind, column, which) in _AGES.items():
                age = max(0.0, now - (read.least(kind, column, **which) or now))
                help = f"Age of the oldest {what}."
                found.append(gauge(self._service, f"ecom_{name}_oldest_seconds", help, age))
            return found

    def _counters(self, counters: dict[str, int]) -> Iterator[Metric]:
        for prefix, (name, help) in _BY_TYPE.items():
            family = CounterMetricFamily(name, help, labels=["service", "type"])
            for key in counters:
                what, _, type_ = key.partition(":")
                if what == prefix:
                    family.add_metric([self._service, type_], self._risen(key, counters[key]))
            yield family
        for key, (name, help) in _COUNTERS.items():
            family = CounterMetricFamily(name, help, labels=["service"])
            family.add_metric([self._service], self._risen(key, counters.get(key, 0)))
            yield family

    def _risen(self, key: str, value: int) -> int:
        """A replay takes one back until the event is handled again; Prometheus would take any
        fall for a restart, and count everything anew."""
        self._highest[key] = max(value, self._highest.get(key, 0))
        return self._highest[key]


def gauge(service: str, name: str, help: str, value: float) -> Metric:
    """A gauge of one service."""
    family = GaugeMetricFamily(name, help, labels=["service"])
    family.add_metric([service], value)
    return family
