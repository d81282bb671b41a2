"""Whether a shop is settled, read from the services' databases alone, without disturbing them.

Every service numbers, in the transaction that does the work, the events it emits, and notes which
numbers have come (`ecom.runtime.streams`): a row for each type, however long its history is. Both
only grow, so two equal looks one after the other prove that nothing changed between them; if then
all numbers have come to all listeners, and nothing waits to be sent, retried or performed, the shop
is settled. Deadlines in the future may remain.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from ecom.contract.contract import Contract
from ecom.errors import NotSettled, ShopError
from ecom.harness.processes import Processes
from ecom.harness.progress import progress, waits_for
from ecom.harness.states import states_of
from ecom.runtime import streams
from ecom.runtime.saga import Saga
from ecom.runtime.service import Lifecycle
from ecom.runtime.streams import apart, missing, size, within
from ecom.runtime.tables import Effect, Inbox, Letter, Outbox, Range, Received
from ecom.stores.base import Row
from ecom.stores.query import ANY, MoreThan, key_of
from ecom.stores.reader import Reader

LOOK_SECONDS = 0.03  # between two looks, and
# Times as long as one took, but for so many seconds at most: to look must not slow down the work.
REST, LONGEST_REST = 5, 1.0
TELL_SECONDS = 1.0  # after which, and between which, a bar is told what is awaited
STUCK_SECONDS = 1.0  # without a change, after which the dead letters are read


class Counted(NamedTuple):
    """The rows by which sagas are counted, of which each is in one of some states."""

    noun: str  # in the plural
    service: str  # in whose database they are
    kind: type[Row]  # whose table is also the name of the counter of all that there ever were
    lifecycle: Lifecycle

    @property
    def under_way(self) -> str:
        """The state of rows whose saga has not ended."""
        return self.lifecycle.transitions[0][2]


def counted(saga: Saga) -> Counted:
    """The first rows with a lifecycle. Raises `ShopError` if there are none."""
    for service in saga.services.values():
        for kind, lifecycle in service.transitions.items():
            return Counted(kind.table, service.name, kind, lifecycle)
    raise ShopError("Nothing is counted: give a service `transitions`, the states of its rows.")


@dataclass(frozen=True)
class Look:
    """What the databases held at one moment each, by service."""

    contract: Contract
    counters: dict[str, dict[str, int]]
    came: dict[str, dict[str, list[Range]]]  # by stream, which numbers have come
    backlog: dict[str, dict[str, int]]  # what is counted in `Monitor.look`
    errors: dict[str, str]  # the error that a service's latest retry follows, in brackets, or ""

    def waiting(self) -> dict[str, dict[str, int]]:
        """What waits at each service: unhandled, unsent, effects (asked for and not done), retries
        (events and effects that have failed), and the dead letters that lie there."""
        missing = self.missing().items()
        return {
            service: {
                "unhandled": sum(size(numbers) for (who, _), numbers in missing if who == service),
                **{kind: backlog[kind] for kind in ("unsent", "effects", "retries", "dead")},
            }
            for service, backlog in self.backlog.items()
        }

    def published(self) -> int:
        """How many events there have ever been."""
        return sum(sum(self._emitted(key).values()) for key in self.contract.by_key)

    def missing(self) -> dict[tuple[str, str], list[Range]]:
        """(service, stream) → the numbers of the events that have not come to it."""
        return {
            (service, stream): numbers
            for service in self.contract.services
            for key in self.contract.consumed_by(service)
            for stream, emitted in self._emitted(key).items()
            if (numbers := missing(self.came[service].get(stream, ()), emitted))
        }

    def _emitted(self, key: str) -> dict[str, int]:
        """Stream → how many events of this type are in it."""
        counters = self.counters[self.contract.by_key[key].producer]
        found = {name.removeprefix("emitted:"): n for name, n in counters.items()}
        return {stream: n for stream, n in found.items() if apart(stream)[0] == key}

    def nothing_left(self) -> bool:
        """Whether nothing is awaited, and no dead letter lies there."""
        return not self.awaited() and not any(it["dead"] for it in self.backlog.values())

    def under_way(self) -> list[str]:
        """One sentence about each thing to be sent, performed or tried again, and why it is."""
        return [
            words.format(service, backlog[kind], self.errors[service])
            for service, backlog in self.backlog.items()
            for kind, words in _UNDER_WAY.items()
            if backlog[kind]
        ]

    def awaited(self) -> list[str]:
        """One sentence about each thing that is not done; empty when this look shows none."""
        unhandled = self.missing().items()
        sentences = [f"{who} has not handled {size(them)} {key}" for (who, key), them in unhandled]
        return sentences + self.under_way()


_RETRIED: dict[str, Any] = {"done_at": None, "attempts": MoreThan(0)}  # effects; by their index
_UNDER_WAY = {
    "unsent": "{0}: {1} messages not confirmed by the broker",
    "effects": "{0}: {1} effects to be performed{2}",
    "messages": "{0}: {1} messages waiting for another try{2}",
    "replays": "{0}: {1} dead letters, replayed or dropped, on their way",
}


def taken_back(counters: Mapping[str, int]) -> int:
    """How many dead letters were replayed or dropped, of which this service has been told."""
    return counters.get("replayed", 0) + counters.get("dropped", 0)


class Monitor(Reader):
    """Looks at the databases in `folder`, again and again, over open connections that only read.

    `replayed`: how many dead letters, replayed or dropped, each service must have been told of.
    """

    def __init__(self, saga: Saga, folder: Path, replayed: Mapping[str, int] | None = None) -> None:
        super().__init__(folder)
        self.contract, self.counted, self._replayed = saga.contract, counted(saga), replayed or {}

    def look(self) -> Look:
        """Read all databases once."""
        counters, came, backlog, errors = {}, {}, {}, {}
        for service in self.contract.services:
            database = self[service]
            with database.moment():  # a counter and the rows that belong to it change together
                counters[service] = database.counters()
                came[service] = streams.came(database.rows(Received))
                messages = database.values(Inbox, "due", "last_error", due=ANY)
                tries = messages + database.values(Effect, "due", "last_error", **_RETRIED)
                backlog[service] = {
                    "unsent": database.count(Outbox, done_at=None),
                    "effects": database.count(Effect, done_at=None),
                    "messages": len(messages),
                    "retries": len(tries),
                    "dead": database.count(Letter, ended_at=None),
                }
            failed = [(due or 0.0, error) for due, error in tries if error]
            errors[service] = f" ({max(failed)[1]})" if failed else ""
            taken = taken_back(counters[service])
            backlog[service]["replays"] = max(0, self._replayed.get(service, 0) - taken)
        return Look(self.contract, counters, came, backlog, errors)

    def states(self) -> dict[str, int]:
        """How many sagas are in each of their states."""
        found = self[self.counted.service].tally(self.counted.kind, "state")
        return dict.fromkeys(states_of(self.counted.lifecycle), 0) | found

    def ended(self) -> tuple[int, int]:
        """How many sagas have ended, of how many."""
        it, database = self.counted, self[self.counted.service]
        total = database.counters().get(it.kind.table) or database.count(it.kind)
        return total - database.count(it.kind, state=it.under_way), total

    def ids(self, stream: str, numbers: list[Range]) -> list[str]:
        """The ids of the events with these numbers in a stream, of which there still are rows."""
        key, mark = apart(stream)
        select, found = self[self.contract.by_key[key].producer].select, list[Outbox]()
        for first, last in numbers:
            its = {"type": key, "stream": mark, "number": MoreThan(first - 1)}
            found += select(Outbox, its, last - first + 1)
        return [row.id for row in found if within(numbers, row.number, row.number)]


def wait_until_settled(
    monitor: Monitor,
    processes: Processes,
    dead_letters: Callable[[str], set[str]],
    timeout: float,
    bar: Any = None,
) -> None:
    """Return once the shop is settled. Raises `NotSettled` after `timeout` seconds, `ServiceDied`.

    `dead_letters(service)` tells the ids of the events in its dead-letter queue: those are settled,
    too. `bar` is shown the sagas that end instead of a progress bar.
    """
    _, total = monitor.ended()
    shown = progress(total, f"{monitor.counted.noun} ended") if bar is None else nullcontext(bar)
    with shown as bar:
        begun = same_since = told = time.monotonic()
        before = None
        while True:
            processes.check()
            asked, look, now = time.monotonic(), monitor.look(), time.monotonic()
            awaited = look.awaited()
            if look != before:
                before, same_since = look, now
            elif not awaited:
                return
            elif now - same_since > STUCK_SECONDS and not look.under_way():
                if _is_all_dead(monitor, look, dead_letters):
                    return
                same_since = now
            if now - begun > timeout:
                raise NotSettled(_why(monitor, processes.missing() + awaited, timeout))
            ended, _ = monitor.ended()
            bar.update(ended - bar.n)
            if now - told > TELL_SECONDS and hasattr(bar, "set_postfix_str"):
                told = now
                bar.set_postfix_str(waits_for(awaited))
            rest = min(REST * (now - asked), LONGEST_REST) if awaited else 0.0
            time.sleep(max(LOOK_SECONDS, rest))


def _is_all_dead(monitor: Monitor, look: Look, dead_letters: Callable[[str], set[str]]) -> bool:
    """Whether every event that was not handled is in a dead-letter queue."""
    dead = cache(dead_letters)
    return all(
        len(ids := monitor.ids(stream, numbers)) == size(numbers) and dead(service).issuperset(ids)
        for (service, stream), numbers in look.missing().items()
    )


def _why(monitor: Monitor, reasons: list[str], timeout: float) -> str:
    """What is still awaited, one thing a line: these, and the sagas that have not ended."""
    (ended, total), it = monitor.ended(), monitor.counted
    if ended < total:
        rows = monitor[it.service].select(it.kind, {"state": it.under_way}, 5)
        first = ", ".join(str(key_of(row)) for row in rows)
        reasons.append(f"{total - ended} of {total} {it.noun} have not ended: {first}, …")
    return f"Not settled after {timeout:g} seconds. Still awaited:\n" + "\n".join(
        f"  - {reason}" for reason in reasons
    )
