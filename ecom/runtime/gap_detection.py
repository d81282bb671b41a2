"""Gap detection: events that a broker lost after it had confirmed them are found, and sent again.

A confirm means that an event is in every queue that was bound for it at that moment. A queue may
still be deleted with its messages, or a binding removed: audit's queue takes every event, so none
is returned as unroutable.

So each service publishes, as `<service>.tally`, how many events of each type it has published. The
tally follows them through the same queues: a listener that has received fewer by then, and by the
next tally, asks for them (`<service>.missing`). The producer sends again what its outbox still has
of that time, and inboxes absorb what was not lost. Neither message is stored.

Repair must not feed itself. What is refused counts as received. A producer answers a listener's
questions about one type more and more seldom, and a page at a time. A listener that has asked in
vain gives up what it misses: `accounted:KEY` counts that, so that a later loss is noticed again;
and a new listener does not ask for ever for a past that is forgotten. A tally that says what the
one before said is published more and more seldom, for one to whom nobody listens stays in a queue.
"""

import logging
from collections import Counter
from copy import copy

import msgspec
from msgspec import Struct
from msgspec.structs import astuple, replace

from ecom.contract.contract import Contract
from ecom.runtime.memory import Answered, Gaps, Missed
from ecom.runtime.messages import Announce, Delivery
from ecom.runtime.tables import Inbox, Outbox
from ecom.stores.base import Transaction
from ecom.stores.query import MoreThan

UNSENT = 10_000  # with more than these in the outbox, counting can wait
SLACK = 5.0  # seconds around the time in which events were lost, of which they are sent again
PAGE = 500  # outbox rows looked at in one transaction, but for those confirmed at one moment
# In tallies:
IN_VAIN = 6  # if events are missing after these, ask for all events there are
GIVE_UP = 24  # if they are missing after these, they do not come
SELDOM = 256  # what has not changed is said again after 1, 2, 4, 8, …, but at least after these
FORGOTTEN = 8  # without a question for so long, the next one is the first
HELLO = b'{"missing":{}}'  # from one who has just connected: say your tallies

log = logging.getLogger("ecom")


class Tally(Struct, frozen=True):
    """A tally: event type → how many were published, by the producer's clock at `at`."""

    at: float
    sent: dict[str, int]


class Missing(Struct, frozen=True):
    """Event type → how many are missing, and the `at` of the last tally when none was.

    `until` is the `at` of the tally that is answered: what is missing was published before.
    """

    missing: dict[str, tuple[int, float]]
    until: float = float("inf")


class GapDetection:
    """One process's part in gap detection."""

    def __init__(self, contract: Contract, service: str) -> None:
        self._service = service
        self._contract = contract
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
        self._pass_time()
        unsent = tx[Outbox].where(limit=UNSENT, exchange="events", done_at=None)
        self._known.again.intersection_update([row.seq for row in unsent])
        out = published | self._known.again
        waiting = Counter(row.type for row in unsent if row.seq not in out)
        sent = {key: tx.counted(f"emitted:{key}") - waiting[key] for key in self._ours}
        if not any(sent.values()) or len(unsent) == UNSENT or not self._is_news(sent):
            return []
        return [Announce(f"{self._service}.tally", msgspec.json.encode(Tally(now, sent)))]

    def _pass_time(self) -> None:
        answers = self._known.answers
        for which, (times, wait, silent) in list(answers.items()):
            if silent >= FORGOTTEN:
                del answers[which]
            else:
                answers[which] = Answered(times, max(0, wait - 1), silent + 1)

    def _is_news(self, sent: dict[str, int]) -> bool:
        """Whether to say this now: if it has changed, or in the end all the same."""
        alike = self._known.alike + 1 if sent == self._known.said else 0
        self._known = replace(self._known, said=sent, alike=alike if alike < 2 * SELDOM else SELDOM)
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
                self._answer((who, key), *asked.missing[key], asked.until, now)
            self.send_again(tx, now)
        return []

    def _answer(self, which: Missed, number: int, since: float, until: float, now: float) -> None:
        """Begin to send again, unless that was done lately: with each time, that is longer."""
        times, wait, _ = self._known.answers.get(which, Answered())
        if not wait and which not in self._known.pages:
            times += 1
            wait = min(4**times, SELDOM)
            # What is sent again is done later than now, and so not sent again once more.
            self._known.pages[which] = since - SLACK, min(until + SLACK, now)
            log.warning(
                "%s misses %d %s: sending those of its time again", which[0], number, which[1]
            )
        self._known.answers[which] = Answered(times, wait)

    def send_again(self, tx: Transaction, now: float) -> None:
        """Send the next page of what is asked for, if the one before has been sent."""
        pages, again = self._known.pages, self._known.again
        if not pages:
            return
        tx[Outbox].load(again)
        rows = [row for seq in again if (row := tx[Outbox].get(seq)) and row.done_at is None]
        again.intersection_update([row.seq for row in rows])
        for which, (after, until) in list(pages.items()):
            if len(again) >= PAGE:
                return
            rows = tx[Outbox].where(limit=PAGE, done_at=MoreThan(after))
            if len(rows) == PAGE:  # and all others that were confirmed at the moment of the last
                last = rows[-1].done_at
                rows = [row for row in rows if row.done_at != last] + tx[Outbox].where(done_at=last)
                pages[which] = last or 0.0, until
            else:
                del pages[which]
            for row in rows:
                wanted = row.exchange == "events" and row.type == which[1]
                if wanted and (row.done_at or 0) <= until:
                    again.add(row.seq)
                    tx[Outbox].put(replace(row, done_at=None, due=now))

    def _compare(self, who: str, tally: Tally, tx: Transaction) -> list[Announce]:
        missing, known = {}, self._known
        ours = set(self._contract.published_by(who)).intersection(self._heard)
        for key in tally.sent.keys() & ours:
            lacking, before = self._lacking(key, tally.sent[key], tx), known.short.pop(key, 0)
            if not lacking:
                known.right[key] = tally.at
                del known.times[key]
                continue
            lasts = lacking * before > 0
            known.short[key] = min(lacking, before, key=abs) if lasts else lacking
            known.times[key] = known.times[key] + 1 if lasts else 1
            if known.times[key] >= (GIVE_UP if lacking > 0 else IN_VAIN):
                self._give_up(key, tx)
            elif lasts and lacking > 0:
                since = known.right.get(key, 0.0) if known.times[key] < IN_VAIN else 0.0
                missing[key] = (known.short[key], since)
        if not missing:
            return []
        log.warning("Events are missing: %s", {key: number for key, (number, _) in missing.items()})
        question = Missing(missing, tally.at)
        return [Announce(f"{self._service}.missing", msgspec.json.encode(question))]

    def _lacking(self, key: str, sent: int, tx: Transaction) -> int:
        """How many were not received; below 0: so many too many, such as late duplicates."""
        lacking = sent - tx.counted(f"handled:{key}") - tx.counted(f"accounted:{key}")
        if lacking > 0:
            lacking -= min(lacking, len(tx[Inbox].where(limit=UNSENT, type=key, state="waiting")))
        return lacking

    def _give_up(self, key: str, tx: Transaction) -> None:
        """Take the number as it is."""
        number = self._known.short.pop(key)
        del self._known.times[key]
        tx.count(f"accounted:{key}", number)
        if number > 0:
            log.error("%d %s do not come, however often they were asked for", number, key)
