"""What each service did, in its own order: the event log, with the services' notes as witnesses.

The log says what was said and why, in the order in which audit heard of it. That is nearly, but
not always, the order in which a service worked, and of what a service heard without saying
anything it tells nothing. Both are known to the service itself: its outbox is numbered, and its
inbox keeps its rows in the order in which they were handled. What housekeeping has forgotten is
taken to have happened in the order of the log.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import msgspec

from ecom.contract.event import Event
from ecom.runtime.tables import Effect, Inbox, Outbox
from ecom.sagas.choreography import choreography
from ecom.services.audit import Entry
from ecom.stores.reader import Database, Reader

_CONTRACT = choreography().contract
ACTORS = tuple(service for service in _CONTRACT.services if service != "audit")


class Logged(NamedTuple):
    """One event of the log."""

    entry: Entry
    event: Event
    time: float  # when it happened, epoch seconds; whole milliseconds


class Deed(NamedTuple):
    """One thing a service did.

    It `said` an event, or `heard` one in silence; it `asked` the world for an effect, and if that
    was done it was `answered`.
    """

    kind: str
    order_id: str
    id: str  # of the event, or of the effect
    n: int  # the event's number in the log; 0 for an effect
    now: float  # what the service's clock said, epoch seconds


def read_log(folder: Path) -> list[Logged]:
    """The event log of the shop in `folder`, in the order of its numbers."""
    with Reader(folder) as read:
        entries = read["audit"].rows(Entry)
    return [_logged(entry) for entry in sorted(entries, key=lambda entry: entry.n)]


def _logged(entry: Entry) -> Logged:
    event = msgspec.json.decode(entry.body, type=_CONTRACT.by_key[entry.type])
    return Logged(entry, event, datetime.fromisoformat(entry.time).timestamp())


class Notes(NamedTuple):
    """What is known of a service's work."""

    deeds: list[Deed]  # in the order in which it did them
    effects: frozenset[str]  # ids of those it has a note of
    complete: bool  # whether that is all it ever asked for


def notes_of(service: str, log: list[Logged], folder: Path) -> Notes:
    """All that a service did about the events of the log."""
    with Reader(folder) as reader:
        read = reader[service]
        ever = read.counters().get("effects", 0)
        deeds = _deeds(service, log, read)
    effects = frozenset(deed.id for deed in deeds if deed.n == 0)
    return Notes(deeds, effects, ever <= len(effects))


def _deeds(service: str, log: list[Logged], read: Database) -> list[Deed]:
    said = _said(service, log, read)
    times = list(accumulate((deed.now for deed in said), max))
    columns = ("seq", "id", "subject", "state", "done_at", "created_at")
    effects = read.values(Effect, *columns)
    effects.sort(key=lambda row: (row[-1] if row[-2] is None else row[-2], row[0]))
    answered = [
        Deed("answered" if state == "done" else "asked", subject, id_, 0, done_at or created_at)
        for _, id_, subject, state, done_at, created_at in effects
    ]
    causes = {each.entry.id: each.entry.causation for each in log}
    after = _silences(said, times, causes, _handled(service, log, read))
    latest = accumulate((deed.now for deed in answered), max)
    after += [(bisect_right(times, now), now, deed)
              for now, deed in zip(latest, answered, strict=True)]  # fmt: skip
    after.sort(key=lambda each: (*each[:2], each[2].kind != "heard"))
    return [*_merged(said, [(place, deed) for place, _, deed in after])]


def _silences(
    said: list[Deed], times: list[float], causes: dict[str, str], handled: list[Deed]
) -> list[tuple[int, float, Deed]]:
    """What was heard in silence, each with the number of sayings before it, and a time.

    A saying that was caused by an event stands where that event was handled. Between two such the
    clock decides; while it stands still, as within one batch, a saying comes first, for it may be
    why the rest was silent.
    """
    place = {causes[deed.id]: i for i, deed in enumerate(said)}
    ends = list(accumulate((place.get(deed.id, len(said)) for deed in reversed(handled)), min))
    low, latest, found = 0, 0.0, []
    for deed, end in zip(handled, reversed(ends), strict=True):
        if deed.id in place:
            low = max(low, place[deed.id] + 1)
        else:
            latest = max(latest, deed.now)
            low = max(low, min(bisect_right(times, latest), end))
            found.append((low, latest, deed))
    return found


def _merged(said: list[Deed], after: list[tuple[int, Deed]]) -> Iterator[Deed]:
    silent = deque(after)
    for i in range(len(said) + 1):
        while silent and silent[0][0] <= i:
            yield silent.popleft()[1]
        yield from said[i : i + 1]


def _said(service: str, log: list[Logged], read: Database) -> list[Deed]:
    published = read.values(Outbox, "id", "seq", "created_at", exchange="events")
    outbox = {id_: (seq, at) for id_, seq, at in published}
    own = [each for each in log if each.entry.producer == service]
    own.sort(key=lambda each: outbox.get(each.entry.id, (0,))[0])
    return [
        Deed("said", entry.order_id, entry.id, entry.n, outbox.get(entry.id, (0, time))[1])
        for entry, _, time in own
    ]


def _handled(service: str, log: list[Logged], read: Database) -> list[Deed]:
    """The events that the service handled: first those its inbox has forgotten, then the rest."""
    columns = ("handled_seq", "id", "type", "at", "attempts", "state")
    inbox = [row[1:] for row in sorted(read.values(Inbox, *columns, due=None))]
    known = {each.entry.id: each for each in log}
    remembered = []
    for id_, _, at, attempts, state in inbox:
        if state == "done" and id_ in known:
            # `at` is when it first came: of a retry we know only that it came after its neighbour.
            now = at if attempts == 1 or not remembered else max(at, remembered[-1].now)
            remembered.append(_heard(known[id_], now))
    forgotten = _forgotten(service, log, inbox, read.counters())
    return [_heard(each, each.time) for each in forgotten] + remembered


def _forgotten(
    service: str, log: list[Logged], inbox: list[tuple], counted: dict[str, int]
) -> list[Logged]:
    """As many of the oldest events as were handled, by the counters, and have no row any more."""
    remembered = {row[0] for row in inbox}
    left = {key: counted.get(f"handled:{key}", 0) for key in _CONTRACT.heard_by(service)}
    for _, key, *_ in inbox:
        left[key] = left.get(key, 0) - 1
    gone = []
    for each in log:
        key = each.entry.type
        if left.get(key, 0) > 0 and each.entry.id not in remembered:
            left[key] -= 1
            gone.append(each)
    return gone


def _heard(each: Logged, now: float) -> Deed:
    return Deed("heard", each.entry.order_id, each.entry.id, each.entry.n, now)


def first(deeds: list[Deed], n: int) -> list[Deed]:
    """The part of a service's deeds that the first `n` events of the log bear witness to.

    Up to the last of them that it said, and on over those it heard in silence: so it is always
    a state in which the service really was.
    """
    until = max((i + 1 for i, deed in enumerate(deeds) if deed.kind == "said" and deed.n <= n),
                default=0)  # fmt: skip
    while until < len(deeds) and deeds[until].kind != "said" and deeds[until].n <= n:
        until += 1
    return deeds[:until]
