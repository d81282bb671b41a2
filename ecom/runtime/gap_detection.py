"""Gap detection: events that a broker lost after it had confirmed them are found, and sent again.

A confirm means that an event is in every queue that was bound for it at that moment. A queue may
still be deleted with its messages, or a binding removed: audit's queue takes every event, so none
is returned as unroutable.

So a producer numbers the events of each type (`ce-sequence`), and a listener knows which have come
(`ecom.runtime.streams`). The producer says, as `<service>.tally`, which are published, and from
which on it has them; that follows them through the same queues. What is missing then, and at the
next tally, a listener asks for by number (`<service>.missing`). Neither message is stored.

Repair must not feed itself. What is refused has come. What the producer has no longer, or was asked
for in vain, no listener waits for: a new one begins with what there still is. A producer sends a
page at a time, and more and more seldom what it has sent before: an event, or a tally.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from copy import copy
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import astuple, replace

from ecom.contract.contract import Contract
from ecom.contract.envelope import SEQUENCE, to_int
from ecom.runtime.dead_letters import came
from ecom.runtime.memory import Gaps, Seen
from ecom.runtime.messages import Announce, Delivery
from ecom.runtime.streams import NO_END, merged, missing, size, within
from ecom.runtime.tables import Outbox, Range, Received
from ecom.stores.base import Transaction
from ecom.stores.query import MoreThan

UNSENT = 10_000  # with more than these in the outbox, counting can wait
PAGE = 2_000  # events of a type that are sent again for one listener between two tallies
ASKED = 100  # ranges in one question
# In tallies:
GIVE_UP = 24  # what is missing after these does not come
SELDOM = 256  # what has not changed is said again after 1, 2, 4, 8, …, but at least after these
HELLO = b'{"missing":{}}'  # from one who has just connected: say your tallies

Number = Annotated[int, Meta(ge=0, lt=NO_END)]

log = logging.getLogger("ecom")


class Tally(Struct, frozen=True):
    """Event type → the numbers of the first event that the producer still has, of the one up to
    which all are published, and of the last one."""

    sent: dict[str, tuple[Number, Number, Number]]


class Missing(Struct, frozen=True):
    """Event type → the numbers of events that are missing."""

    missing: dict[str, list[tuple[Number, Number]]]


class GapDetection:
    """One process's part in gap detection."""

    def __init__(self, contract: Contract, service: str) -> None:
        self._service = service
        self._contract = contract
        self._ours = contract.published_by(service)
        self.restore(Gaps())

    def volatile(self) -> Gaps:
        """What is known just now."""
        return Gaps(*map(copy, astuple(self._known)))

    def restore(self, gaps: Gaps) -> None:
        """Know what was known when `volatile` was called; `Gaps` says what it means."""
        self._known = Gaps(*map(copy, astuple(gaps)))

    def note(self, inputs: Iterable[Any], sender: Callable[[str], str], tx: Transaction) -> None:
        """Write down which events have come, whatever becomes of them: those that their producers
        have sent, as the broker's users tell. It is one row for each type."""
        fresh: defaultdict[str, list[Range]] = defaultdict(list)
        for it in inputs:
            if type(it) is Delivery and (number := to_int((it.headers or {}).get(SEQUENCE))):
                _, key, user = came(it)
                kind = self._contract.by_key.get(key)
                if kind is not None and user == sender(kind.producer):
                    fresh[key].append((number, number))
        for key, ranges in fresh.items():
            row = tx[Received].get(key) or Received(key)
            tx[Received].put(Received(key, merged([*row.came, *ranges])))

    def tally(self, tx: Transaction, published: set[int]) -> list[Announce]:
        """The tally of our own events, if it is time. What is sent again, or under way (the rows
        `published`), was published: else the tally would hide that it is missing."""
        self._known.answered.clear()
        unsent = tx[Outbox].look(limit=UNSENT, exchange="events", done_at=None)
        sent = {}
        for key in self._ours:
            emitted = tx.counted(f"emitted:{key}")
            waiting = (row for row in unsent if not row.again and row.seq not in published)
            numbers = (row.number for row in waiting if row.type == key)
            last = min(numbers, default=emitted + 1) - 1
            if last > 0:
                rows = tx[Outbox].look(limit=1, type=key, number=MoreThan(0))
                sent[key] = rows[0].number if rows else emitted + 1, last, emitted
        if not sent or len(unsent) == UNSENT or not self._is_news(sent):
            return []
        return [Announce(f"{self._service}.tally", msgspec.json.encode(Tally(sent)))]

    def _is_news(self, sent: dict[str, tuple[int, int, int]]) -> bool:
        """Whether to say this now: if it has changed, or in the end all the same."""
        said = {key: last for key, (_, last, _) in sent.items()}
        alike = self._known.alike + 1 if said == self._known.said else 0
        self._known = replace(self._known, said=said, alike=alike if alike < 2 * SELDOM else SELDOM)
        return alike & (alike - 1) == 0

    def answer(self, delivery: Delivery, tx: Transaction, now: float) -> list[Announce]:
        """The messages to publish in answer to a tally or a question."""
        who, _, what = delivery.key.rpartition(".")
        if what == "echo":
            return []  # an echo: it only has to arrive
        try:
            if what == "tally":
                return self._compare(who, msgspec.json.decode(delivery.body, type=Tally), tx)
            asked = msgspec.json.decode(delivery.body, type=Missing)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            log.warning("Not a %s of %s: %s", what, who, error)
            return []
        if who != self._service and who in self._contract.listens:
            self._known.said.clear()  # somebody listens, and wants to know
            consumed = self._contract.consumed_by(who)
            for key in asked.missing.keys() & set(self._ours).intersection(consumed):
                if (who, key) not in self._known.answered:
                    self._known.answered.add((who, key))
                    log.warning("%s misses %s: sending a page of them again", who, key)
                    self._send_again(key, merged(asked.missing[key]), tx, now)
        return []

    def _send_again(self, key: str, asked: list[Range], tx: Transaction, now: float) -> None:
        """Send a page of these again, but not what lately was: each time, that is longer."""
        room = PAGE
        for first, last in within(asked, 1, tx.counted(f"emitted:{key}"))[:ASKED]:
            some = min(room, last - first + 1)
            for row in tx[Outbox].where(limit=some, type=key, number=MoreThan(first - 1)):
                room -= 1
                is_due = row.done_at is not None and now >= row.done_at + 4**row.again - 1
                if is_due and row.number <= last:
                    tx[Outbox].put(replace(row, done_at=None, due=now, again=row.again + 1))

    def _compare(self, who: str, tally: Tally, tx: Transaction) -> list[Announce]:
        ours = set(self._contract.published_by(who)).intersection(
            self._contract.consumed_by(self._service)
        )
        found = {key: self._missing(key, *tally.sent[key], tx) for key in tally.sent.keys() & ours}
        if not (wanted := {key: ranges[:ASKED] for key, ranges in found.items() if ranges}):
            return []
        log.warning("Events are missing: %s", {key: size(them) for key, them in wanted.items()})
        return [Announce(f"{self._service}.missing", msgspec.json.encode(Missing(wanted)))]

    def _missing(
        self, key: str, first: int, last: int, emitted: int, tx: Transaction
    ) -> list[Range]:
        """What is missing, and was at the last tally, too; but for what does not come any more."""
        row, seen = tx[Received].get(key) or Received(key), self._known.seen.pop(key, Seen())
        # Its database was restored, if there are fewer than there were: the rest will come again.
        known = within(row.came, 1, emitted if seen.end > emitted else NO_END)
        known = merged([*known, *within([(1, first - 1)], 1, last)])
        left = missing(known, last)
        times = seen.times + 1 if left and left[0][0] == seen.first else 1
        if times >= GIVE_UP:
            never = within(left[:1], 1, seen.end)
            log.error("%d %s do not come, however often asked for", size(never), key)
            known = merged([*known, *never])
            left = missing(known, last)
        if known != row.came:
            tx[Received].put(Received(key, known))
        end = max([last, *(it for _, it in known[-1:])])
        if left or end > emitted:
            self._known.seen[key] = Seen(end, left[0][0] if left else 0, times)
        return within(left, 1, seen.end)
