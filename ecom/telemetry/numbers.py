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
_DEPTHS = {
    "ecom_outbox_unsent": "Messages the broker has not confirmed yet.",
    "ecom_inbox_waiting": "Events that failed and wait for another try.",
    "ecom_inbox_dead": "Events that were given up; a replay takes one away.",
    "ecom_effects_pending": "Effects (captures, refunds, mails) asked for and not done.",
    "ecom_effects_retrying": "Effects among the pending ones that failed before.",
    "ecom_effects_dead": "Effects that were given up; a replay takes one away.",
    "ecom_timers_set": "Deadlines to come.",
}
_AGES = {
    "ecom_outbox_oldest_seconds": "Age of the oldest message the broker has not confirmed.",
    "ecom_inbox_oldest_seconds": "Age of the oldest event that waits for another try.",
    "ecom_effects_oldest_seconds": "Age of the oldest effect that is not done.",
}
_READABLE = ("ecom_database_readable", "Whether the database could be read for this page.")
_WAITING: dict[str, tuple[type[Row], dict[str, Any]]] = {  # each counted by an index
    "ecom_outbox_unsent": (Outbox, {"done_at": None}),
    "ecom_inbox_waiting": (Inbox, {"due": ANY}),
    "ecom_inbox_dead": (Inbox, {"state": "dead"}),
    "ecom_effects_pending": (Effect, {"done_at": None}),
    "ecom_effects_retrying": (Effect, {"done_at": None, "attempts": MoreThan(0)}),
    "ecom_effects_dead": (Effect, {"done_at": ANY, "state": "dead"}),
    "ecom_timers_set": (Timer, {}),
}
_OLDEST: dict[str, tuple[type[Row], str, dict[str, Any]]] = {
    "ecom_outbox_oldest_seconds": (Outbox, "created_at", {"done_at": None}),
    "ecom_inbox_oldest_seconds": (Inbox, "at", {"due": ANY}),
    "ecom_effects_oldest_seconds": (Effect, "created_at", {"done_at": None}),
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
            counters, found = self._read()
        except (ShopError, StoreUnavailable) as error:
            log.warning("The database cannot be read for its metrics: %s", error)
            yield gauge(self._service, *_READABLE, 0)
            return
        yield gauge(self._service, *_READABLE, 1)
        yield from self._counters(counters)
        now = time.time()
        for name, help in _DEPTHS.items():
            yield gauge(self._service, name, help, found[name])
        for name, help in _AGES.items():
            since = found[name] or now
            yield gauge(self._service, name, help, max(0.0, now - since))

    def _read(self) -> tuple[dict[str, int], dict[str, float | None]]:
        with closing(Database(self._folder, self._service)) as read, read.moment():
            found = {name: read.count(kind, **which) for name, (kind, which) in _WAITING.items()}
            for name, (kind, column, which) in _OLDEST.items():
                found[name] = read.least(kind, column, **which)
            return read.counters(), found

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
