"""Gap detection: events that a broker lost after it had confirmed them are found, and sent again.

A confirm means that an event is in every queue that was bound for it at that moment. A queue may
still be deleted with its messages, or a binding removed: audit's queue takes every event, so none
is returned as unroutable.

So each service publishes, as `<service>.tally`, how many events of each type it has published. The
tally follows them through the same queues: a listener that has handled fewer by then, and by the
next tally, asks for them (`<service>.missing`). The producer sends again what its outbox still has
from then on, and inboxes absorb what was not lost. Neither message is stored.
"""

import logging
from collections import Counter
from copy import copy

import msgspec
from msgspec import Struct
from msgspec.structs import astuple, replace

from ecom.contract.contract import Contract
from ecom.runtime.memory import Gaps
from ecom.runtime.messages import Announce, Delivery
from ecom.runtime.tables import Outbox
from ecom.stores.base import Transaction
from ecom.stores.query import MoreThan

UNSENT = 10_000  # with more than these in the outbox, counting can wait
SLACK = 5.0  # seconds before the last tally that was right, from which events are sent again
IN_VAIN = 6  # tallies; if events are missing after these, ask for all events there are
ANSWERED = (1, 4, 16)  # which repetitions of the same question are answered

log = logging.getLogger("ecom")


class Tally(Struct, frozen=True):
    """A tally: event type → how many were published, by the producer's clock at `at`."""

    at: float
    sent: dict[str, int]


class Missing(Struct, frozen=True):
    """Event type → how many are missing, and the `at` of the last tally when none was."""

    missing: dict[str, tuple[int, float]]


class GapDetection:
    """One process's part in gap detection."""

    def __init__(self, contract: Contract, service: str) -> None:
        self._service = service
        self._heard = contract.consumed_by(service)
        self._ours = contract.published_by(service)
        self.restore(Gaps())

    def volatile(self) -> Gaps:
        """What is known just now."""
        return Gaps(*map(copy, astuple(self._known)))

    def restore(self, gaps: Gaps) -> None:
        """Know what was known when `volatile` was called; `Gaps` says what it means."""
        self._known = Gaps(*map(copy, astuple(gaps)))

    def tally(self, tx: Transaction, now: float, published: set[int]) -> list[Announce]:
        """The tally of our own events, if it is time; `published` are rows that are under way.

        Rows that are sent again were published before and are counted: else the tally would hide
        what the listener lacks.
        """
        unsent = tx[Outbox].where(limit=UNSENT, exchange="events", done_at=None)
        self._known.again.intersection_update([row.seq for row in unsent])
        out = published | self._known.again
        waiting = Counter(row.type for row in unsent if row.seq not in out)
        sent = {key: tx.counted(f"emitted:{key}") - waiting[key] for key in self._ours}
        if not any(sent.values()) or len(unsent) == UNSENT:
            return []
        return [Announce(f"{self._service}.tally", msgspec.json.encode(Tally(now, sent)))]

    def answer(self, delivery: Delivery, tx: Transaction, now: float) -> list[Announce]:
        """The messages to publish in answer to a tally or a question."""
        who, _, what = delivery.key.rpartition(".")
        if what == "echo":
            return []  # an echo: it only has to arrive
        try:
            if what == "tally":
                return self._compare(msgspec.json.decode(delivery.body, type=Tally), tx)
            asked = msgspec.json.decode(delivery.body, type=Missing)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            log.warning("Not a %s of %s: %s", what, who, error)
            return []
        for key, (number, since) in asked.missing.items():
            if key in self._ours:
                self._answer(who, key, number, since, tx, now)
        return []

    def _compare(self, tally: Tally, tx: Transaction) -> list[Announce]:
        missing, known = {}, self._known
        for key, sent in tally.sent.items():
            if key not in self._heard:
                continue
            lacking, before = sent - tx.counted(f"handled:{key}"), known.short.pop(key, 0)
            if lacking <= 0:
                known.right[key] = tally.at
                del known.times[key]
                continue
            known.short[key] = lacking
            known.times[key] += 1
            if before:
                since = known.right.get(key, 0.0) if known.times[key] < IN_VAIN else 0.0
                missing[key] = (min(lacking, before), since)
        if not missing:
            return []
        log.warning("Events are missing: %s", {key: number for key, (number, _) in missing.items()})
        return [Announce(f"{self._service}.missing", msgspec.json.encode(Missing(missing)))]

    def _answer(
        self, who: str, key: str, number: int, since: float, tx: Transaction, now: float
    ) -> None:
        asked = self._known.questions
        asked[who, key, number, since] += 1
        if asked[who, key, number, since] not in ANSWERED:
            return
        rows = tx[Outbox].where(exchange="events", type=key, done_at=MoreThan(since - SLACK))
        log.warning("%s misses %d %s: sending %d again", who, number, key, len(rows))
        self._known.again.update(row.seq for row in rows)
        for row in rows:
            tx[Outbox].put(replace(row, done_at=None, due=now))
