"""Gap detection: events that a broker lost after it had confirmed them are found, and sent again.

A confirm means that an event is in every queue that was bound for it at that moment. A queue may
still be deleted with its messages, or a binding removed: audit's queue takes every event, so none
is returned as unroutable.

So each replica numbers the events of each type (`ce-sequence`), and listeners know which have come
(`ecom.runtime.streams`). The producer says, as `<service>.tally`, which are published, and from
which on it has them; that follows them through the same queues. What is missing then, and at the
next tally, a listener asks for by number (`<service>.missing`). Neither message is stored.

Repair must not feed itself. What is refused has come. What the producer has no longer, or was asked
for in vain, no listener waits for: a new one begins with what there still is. A producer sends a
page at a time, and more and more seldom what it has sent before: an event, or a tally.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from ecom.contract.contract import Contract
from ecom.contract.envelope import SEQUENCE, to_int
from ecom.runtime import streams
from ecom.runtime.dead_letters import came
from ecom.runtime.messages import Announce, Delivery
from ecom.runtime.streams import NO_END, apart, merged, missing, size, within
from ecom.runtime.tables import Outbox, Range, Received
from ecom.stores.base import Counter, Transaction
from ecom.stores.query import MoreThan

UNSENT = 10_000  # with more than these in the outbox, counting can wait
PAGE = 2_000  # events of a type that are sent again for one listener between two tallies
ASKED = 100  # ranges in one question
SCATTERED = 200  # ranges in a row, beyond which it is joined with its siblings'
# In tallies:
GIVE_UP = 24  # what is missing after these does not come
SELDOM = 256  # what has not changed is said again after 1, 2, 4, 8, …, but at least after these
HELLO = b'{"missing":{}}'  # from one who has just connected: say your tallies

Number = Annotated[int, Meta(ge=0, lt=NO_END)]
Numbers = tuple[Number, Number, Number]

log = logging.getLogger("ecom")


class Tally(Struct, frozen=True):
    """Stream → the numbers of the first event that the producer still has, of the one up to
    which all are published, and of the last one; and when that was so."""

    sent: dict[str, Numbers]
    at: Annotated[float, Meta(ge=0)] = 0.0  # earlier releases do not say


class Missing(Struct, frozen=True):
    """Stream → the numbers of events that are missing."""

    missing: dict[str, list[tuple[Number, Number]]]


class Seen(NamedTuple):
    """What a listener saw of a stream at the last tally, if that was not right."""

    end: int = 0  # up to which number it knew of events
    first: int = 0  # that of the first that was missing …
    times: int = 0  # … at so many tallies in a row


class Gaps(Struct, frozen=True):
    """What a process knows of lost events, never changed in place; all may be forgotten."""

    seen: dict[str, Seen] = {}  # by stream
    said: dict[str, int] = {}  # our last tally: stream → up to which number all are published
    alike: int = 0  # how often, since, one was due that would say the same
    answered: frozenset[tuple[str, str]] = frozenset()  # since then: whose questions, which stream
    told: dict[str, float] = {}  # by producer: when we were told the latest of its tallies


class GapDetection:
    """One process's part in gap detection; `known` is all that it keeps in memory."""

    def __init__(self, contract: Contract, service: str, mark: str = "") -> None:
        self._contract, self._service, self.known = contract, service, Gaps()
        self._mine = mark.replace("@", "/")

    def note(self, inputs: Iterable[Any], users: Mapping[str, str], tx: Transaction) -> None:
        """Write down which events have come, whatever becomes of them: those that their producers
        have sent, as the broker's `users` tell. Of each stream a replica has one row. One that has
        many gaps, which as a rule are what its siblings have, is joined with theirs."""
        fresh: defaultdict[str, list[Range]] = defaultdict(list)
        for it in inputs:
            if type(it) is Delivery:
                _, key, user = came(it)
                kind = self._contract.by_key.get(key)
                if kind is not None and user == users[kind.producer]:
                    said, at, mark = str((it.headers or {}).get(SEQUENCE)).partition("@")
                    if number := to_int(said):
                        fresh[key + at + mark].append((number, number))
        siblings: dict[str, list[Range]] = {}
        if len(fresh) > 1:
            tx[Received].load([stream + self._mine for stream in fresh])
        for stream, ranges in fresh.items():
            table, name = tx[Received], stream + self._mine
            row = table.get(name)
            known = streams.grown(row.came if row else [], ranges)
            if len(known) > SCATTERED:
                siblings = siblings or streams.came(table.look())
                known = merged([*known, *siblings.get(stream, ())])
            table.put(Received(name, known))

    def tally(self, tx: Transaction, published: set[int], now: float) -> list[Announce]:
        """The tally of our own events, if it is time. What is sent again, or under way (the rows
        `published`), was published: else the tally would hide that it is missing."""
        self.known = replace(self.known, answered=frozenset())
        counted = _emitted(tx)  # before what is unsent: our siblings do not wait for us
        unsent = tx[Outbox].look(limit=UNSENT, exchange="events", done_at=None)
        waiting = [row for row in unsent if not row.again and row.seq not in published]
        sent = {}
        for stream, emitted in counted.items():
            key, mark = apart(stream)
            numbers = (row.number for row in waiting if (row.type, row.stream) == (key, mark))
            last = min(emitted, min(numbers, default=NO_END) - 1)
            if last > 0:
                rows = tx[Outbox].look(limit=1, type=key, stream=mark, number=MoreThan(0))
                sent[stream] = rows[0].number if rows else emitted + 1, last, emitted
        if not sent or len(unsent) == UNSENT or not self._is_news(sent):
            return []
        return [Announce(f"{self._service}.tally", msgspec.json.encode(Tally(sent, now)))]

    def _is_news(self, sent: dict[str, tuple[int, int, int]]) -> bool:
        """Whether to say this now: if it has changed, or in the end all the same."""
        said = {key: last for key, (_, last, _) in sent.items()}
        alike = self.known.alike + 1 if said == self.known.said else 0
        self.known = replace(self.known, said=said, alike=alike if alike < 2 * SELDOM else SELDOM)
        return alike & (alike - 1) == 0

    def answer(self, delivery: Delivery, tx: Transaction, now: float) -> list[Announce]:
        """The messages to publish in answer to a tally or a question."""
        who, _, what = delivery.key.rpartition(".")
        if what == "echo":
            return []  # an echo: it only has to arrive
        try:
            if what == "tally":
                return self._compare(who, msgspec.json.decode(delivery.body, type=Tally), tx, now)
            asked = msgspec.json.decode(delivery.body, type=Missing)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            log.warning("Not a %s of %s: %s", what, who, error)
            return []
        if who != self._service and who in self._contract.listens:
            self.known = replace(self.known, said={})  # somebody listens, and wants to know
            counted, consumed = _emitted(tx), self._contract.consumed_by(who)
            for stream in sorted(asked.missing.keys() & counted.keys()):
                if apart(stream)[0] in consumed and (who, stream) not in self.known.answered:
                    answered = self.known.answered | {(who, stream)}
                    self.known = replace(self.known, answered=answered)
                    log.warning("%s misses %s: sending a page of them again", who, stream)
                    wanted = within(merged(asked.missing[stream]), 1, counted[stream])
                    self._send_again(stream, wanted, tx, now)
        return []

    def _send_again(self, stream: str, asked: list[Range], tx: Transaction, now: float) -> None:
        """Send a page of these again, but not what lately was: each time, that is longer."""
        room, (key, mark) = PAGE, apart(stream)
        for first, last in asked[:ASKED]:
            some, beyond = min(room, last - first + 1), MoreThan(first - 1)
            for row in tx[Outbox].where(limit=some, type=key, stream=mark, number=beyond):
                room -= 1
                is_due = row.done_at is not None and now >= row.done_at + 4**row.again - 1
                if is_due and row.number <= last:
                    tx[Outbox].put(replace(row, done_at=None, due=now, again=row.again + 1))

    def _compare(self, who: str, tally: Tally, tx: Transaction, now: float) -> list[Announce]:
        ours = {*self._contract.published_by(who)} & {*self._contract.consumed_by(self._service)}
        told = {it: numbers for it, numbers in tally.sent.items() if apart(it)[0] in ours}
        is_late = tally.at < self.known.told.get(who, 0.0)  # made before all that we knew then
        if tally.at and not is_late:
            self.known = replace(self.known, told={**self.known.told, who: max(now, tally.at)})
        come = streams.came(tx[Received].look())
        found = {it: self._missing(it, told[it], come.get(it, []), is_late, tx) for it in told}
        if not (wanted := {it: ranges[:ASKED] for it, ranges in found.items() if ranges}):
            return []
        log.warning("Events are missing: %s", {it: size(them) for it, them in wanted.items()})
        return [Announce(f"{self._service}.missing", msgspec.json.encode(Missing(wanted)))]

    def _missing(
        self, stream: str, told: Numbers, has_come: list[Range], is_late: bool, tx: Transaction
    ) -> list[Range]:
        """What is missing, and was at the last tally, too; but for what does not come any more."""
        (first, last, emitted), others = told, dict(self.known.seen)
        seen = others.pop(stream, Seen())
        # Its database was restored, if there are fewer than there were: the rest will come again.
        known = within(has_come, 1, emitted if seen.end > emitted and not is_late else NO_END)
        known = merged([*known, *within([(1, first - 1)], 1, last)])
        left = missing(known, last)
        times = seen.times + 1 if left and left[0][0] == seen.first else 1
        if times >= GIVE_UP:
            never = within(left[:1], 1, seen.end)
            log.error("%d %s do not come, however often asked for", size(never), stream)
            known = merged([*known, *never])
            left = missing(known, last)
        if known != has_come:
            for row in tx[Received].look():
                if row.type.partition("/")[0] == stream:
                    tx[Received].delete(row.type)  # our siblings', too: they begin anew
            tx[Received].put(Received(stream + self._mine, known))
        end = max([last, *(it for _, it in known[-1:])])
        if left or end > emitted:
            others[stream] = Seen(end, left[0][0] if left else 0, times)
        self.known = replace(self.known, seen=others)
        return within(left, 1, seen.end)


def _emitted(tx: Transaction) -> dict[str, int]:
    """How many events there were in each stream before this step."""
    counted = ((*row.name.partition(":"), row.value) for row in tx[Counter].look())
    return {stream: value for what, _, stream, value in counted if what == "emitted"}
