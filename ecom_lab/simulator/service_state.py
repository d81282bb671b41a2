"""One service's part of a state: its tables, what its processes keep in mind, its outside world.

Time stands still in the simulator: handlers are always run at `NOW`, and any deadline, retry or
lease may be the next to come due. That allows every order of events a real clock allows (and
some that it does not), whatever the seconds are; and no state differs from another by a time.
"""

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from ecom.runtime.relay import Window
from ecom.runtime.runtime import Memory
from ecom.runtime.tables import Counter, Effect, Handled, Inbox, Letter, Outbox, Replica, Timer
from ecom.stores.base import Row
from ecom_lab.simulator.durability import Tables

NOW = 0.0
NOISE = ("transactions", "outbox", "effects", "duplicates")  # counters no decision looks at
# Written for people only; leases and echoes are told by the inputs.
_TOLD = (Handled, Letter, Replica)
GONE = "gone"  # a process that stays dead
REMEMBERED = 20_000  # tables whose texts are kept


class ProcessState(NamedTuple):
    """What one process has in memory, and so loses in a crash."""

    memory: Memory = Memory()
    heard: tuple[Any, ...] = ()  # answers that have arrived and wait to be handled, as inputs

    @property
    def connected(self) -> bool:
        """Whether the broker takes messages from it."""
        return self.memory.outbox.is_open


ProcessStates = tuple[
    ProcessState | str | None, ...
]  # of each replica; None is down, and will start again


class Begun(NamedTuple):
    """A transaction that is not yet committed, while others are."""

    replica: int
    held: tuple[Any, ...]  # what it has been delivered
    tables: Tables  # as it has found them
    drawn: int = 0  # the greatest number that others had drawn


class ServiceState(NamedTuple):
    """One service."""

    tables: Tables
    synced: Tables  # what a power cut leaves
    processes: ProcessStates
    ledger: tuple[Any, ...] = ()
    begun: tuple[Begun, ...] = ()  # if others are not excluded meanwhile


def is_put_off(row: Outbox | Effect) -> bool:
    """Whether a row that is not done is to be tried again soon: it came back, or failed."""
    return row.due is not None


def replaced(
    processes: ProcessStates, replica: int, process: ProcessState | str | None
) -> ProcessStates:
    """The processes with another one for this replica."""
    return (*processes[:replica], process, *processes[replica + 1 :])


class Canon:
    """Texts of local states: two share one only if they behave the same from now on.

    Left out is what no decision looks at: the numbers of outbox and effect rows (their order is
    kept), the contents of rows that are done (their ids are kept, for duplicates and the log, and
    the numbers of events, by which lost ones are asked for), the order in which messages were
    handled, and `ignored` columns, by type of row. It remembers the last tables that it has seen.
    """

    def __init__(self, ignored: Mapping[type[Row], str]) -> None:
        self._ignored = ignored
        self._known: dict[int, tuple[Any, Any]] = {}  # id of a table's rows: they, and their text

    def text(self, local: ServiceState) -> str:
        """The text of this state."""
        ledger = sorted(local.ledger, key=lambda booking: booking[0])
        parts = [self._tables(local.tables, local.processes), ledger]
        if local.synced != local.tables:
            parts.append(self._tables(local.synced, ()))
        parts += [self._process(process, local) for process in local.processes]
        parts += [(*it[:2], self._tables(it.tables, ()), _passed(it, local)) for it in local.begun]
        return repr(parts)

    def _process(self, process: ProcessState | str | None, local: ServiceState) -> Any:
        if not isinstance(process, ProcessState):
            return process
        (outbox, effects, gaps, *_), heard = msgspec.structs.astuple(process.memory), process.heard
        done = [_done(outbox, Outbox, local), _done(effects, Effect, local)]
        return (outbox.is_open, done, gaps, [_news(each, local) for each in heard])

    def _tables(self, tables: Tables, processes: ProcessStates) -> list[Any]:
        in_order = sorted(tables.items(), key=lambda item: item[0].table)
        some = ((kind, rows) for kind, rows in in_order if rows and kind not in _TOLD)
        return [(kind.table, self._text(kind, rows, processes)) for kind, rows in some]

    def _text(self, kind: type[Row], rows: dict[Any, Any], processes: ProcessStates) -> Any:
        if kind in (Outbox, Effect):
            return _outgoing(kind, rows.values(), [_window(kind, process) for process in processes])
        if id(rows) not in self._known:
            special = _SPECIAL.get(kind)
            text = special(rows.values()) if special else self._plain(kind, rows.values())
            if len(self._known) > REMEMBERED:
                self._known.clear()
            self._known[id(rows)] = rows, repr(text)
        return self._known[id(rows)][1]

    def _plain(self, kind: type[Row], rows: Iterable[Row]) -> list[bytes]:
        if column := self._ignored.get(kind):
            rows = (replace(row, **{column: 0}) for row in rows)
        return sorted(msgspec.json.encode(row) for row in rows)


def _passed(begun: Begun, local: ServiceState) -> list[int]:
    """What has been passed, by each replica, of greater numbers than those that it will have."""
    memories = [it.memory for it in local.processes if isinstance(it, ProcessState)]
    passed = [each.last > begun.drawn for it in memories for each in (it.outbox, it.effects)]
    rows = [seq > begun.drawn for kind in (Outbox, Effect) for seq in local.tables.get(kind, ())]
    return [*passed, sum(rows)]


def _done(window: Window[Any], kind: type[Row], local: ServiceState) -> int:
    """How many rows a replica holds to be under way though a sibling has done them."""
    rows = local.tables.get(kind, {})
    return sum(seq not in rows or rows[seq].done_at is not None for seq in window.under_way)


def _inbox(rows: Iterable[Inbox]) -> list[Any]:
    return sorted(
        (row.id, row.state)
        + ((row.attempts, row.body, repr(row.headers)) if row.state == "waiting" else ())
        for row in rows
    )


def _counters(rows: Iterable[Counter]) -> list[Any]:
    return sorted((row.name, row.value) for row in rows if row.name.partition("@")[0] not in NOISE)


def _timers(rows: Iterable[Timer]) -> list[Any]:
    return sorted((row.id, row.correlation) for row in rows)


_SPECIAL: dict[type[Row], Callable[..., list[Any]]] = {
    Inbox: _inbox,
    Counter: _counters,
    Timer: _timers,
}


def _window(kind: type[Row], process: ProcessState | str | None) -> Window[Any] | None:
    if not isinstance(process, ProcessState):
        return None
    return process.memory.outbox if kind is Outbox else process.memory.effects


_DONE = {Outbox: attrgetter("id", "number", "again"), Effect: attrgetter("id", "key", "state")}
_WAITING = {
    Outbox: attrgetter("id", "owner", "exchange", "headers", "body", "again"),
    Effect: attrgetter("id", "owner", "key", "attempts", "body"),
}


def _outgoing(kind: type[Row], rows: Iterable[Any], windows: list[Window[Any] | None]) -> Any:
    """Those done, in any order, and those that are not, in theirs."""
    done = sorted(_DONE[kind](row) for row in rows if row.done_at is not None)
    waiting = sorted((row for row in rows if row.done_at is None), key=attrgetter("seq"))
    return [done, *((_WAITING[kind](row), _stage(row, windows)) for row in waiting)]


def _stage(row: Any, windows: list[Window[Any] | None]) -> tuple[str, list[str]]:
    due = "put off" if is_put_off(row) else "leased"
    return due, [_way(row, window) for window in windows]


def _way(row: Any, window: Window[Any] | None) -> str:
    if window is None:
        return "down"
    if row.seq in window.under_way:
        return "under way"
    if is_put_off(row):
        return ""  # it is taken when it is due, whatever a relay has passed
    return "waits" if row.seq <= window.last else "behind" if window.behind else "new"


def _news(news: Any, local: ServiceState) -> Any:
    """An input without its number, which is that of a row."""
    return type(news).__name__, row_of(news, local), repr(getattr(news, "result", 0))


def row_of(news: Any, local: ServiceState) -> str:
    """What an answer is about, by the id of its row; by its number, if there never was one."""
    kind, seq = (Outbox, news.seqs[0]) if hasattr(news, "seqs") else (Effect, news.seq)
    row = local.tables.get(kind, {}).get(seq)
    return row.id if row else str(seq)
