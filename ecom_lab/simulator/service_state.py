"""One service's part of a state: its tables, what its processes keep in mind, its outside world.

Time stands still in the simulator: handlers are always run at `NOW`, and any deadline, retry or
lease may be the next to come due. That allows every order of events a real clock allows (and
some that it does not), whatever the seconds are; and no state differs from another by a time.
"""

from collections.abc import Iterable, Mapping
from functools import partial
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


Process = ProcessState | str | None  # of one replica; None is down, and will start again


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
    processes: tuple[Process, ...]
    ledger: tuple[Any, ...] = ()
    begun: tuple[Begun, ...] = ()  # if others are not excluded meanwhile

    def begun_by(self, replica: int) -> Begun | None:
        """The transaction that this replica has begun, if it is in the middle of one."""
        return next((each for each in self.begun if each.replica == replica), None)

    def is_free(self, replica: int) -> bool:
        """Whether this replica lives, and is not in the middle of a transaction."""
        return isinstance(self.processes[replica], ProcessState) and not self.begun_by(replica)

    @property
    def has_sibling(self) -> bool:
        """Whether more than one process of the service lives."""
        return sum(isinstance(process, ProcessState) for process in self.processes) > 1

    def replacing(self, replica: int, process: Process) -> "ServiceState":
        """The same with another process for this replica, which has begun no transaction."""
        processes = (*self.processes[:replica], process, *self.processes[replica + 1 :])
        begun = tuple(each for each in self.begun if each.replica != replica)
        return self._replace(processes=processes, begun=begun)


class Canon:
    """Texts of local states: two share one only if they behave the same from now on.

    Left out is what no decision looks at: the numbers of outbox and effect rows (their order is
    kept), the contents of rows that are done (their ids are kept, for duplicates and the log, and
    the numbers of events, by which lost ones are asked for), the order in which messages were
    handled, and `ignored` columns, by type of row. It remembers the last tables that it has seen.
    """

    def __init__(self, ignored: Mapping[type[Row], str]) -> None:
        self._see = _SEEN | {kind: partial(_without, column) for kind, column in ignored.items()}
        self._known: dict[int, tuple[Any, Any]] = {}  # id of a table's rows: they, and their text

    def text(self, local: ServiceState) -> str:
        """The text of this state."""
        ledger = sorted(local.ledger, key=lambda booking: booking[0])
        parts = [self._tables(local.tables, local.processes), ledger]
        if local.synced != local.tables:
            parts.append(self._tables(local.synced, ()))
        parts += [_process(process, local) for process in local.processes]
        parts += [(*it[:2], self._tables(it.tables, ()), _passed(it, local)) for it in local.begun]
        return repr(parts)

    def _tables(self, tables: Tables, processes: Iterable[Process]) -> list[Any]:
        in_order = sorted(tables.items(), key=lambda item: item[0].table)
        some = ((kind, rows) for kind, rows in in_order if rows and kind not in _TOLD)
        return [(kind.table, self._text(kind, rows, processes)) for kind, rows in some]

    def _text(self, kind: type[Row], rows: dict[Any, Any], processes: Iterable[Process]) -> Any:
        if kind in _DONE:
            windows = [
                getattr(process.memory, kind.table) if isinstance(process, ProcessState) else None
                for process in processes
            ]
            return _outgoing(kind, rows.values(), windows)
        if id(rows) not in self._known:
            see = self._see.get(kind, msgspec.json.encode)
            text = repr(sorted(seen for row in rows.values() if (seen := see(row))))
            if len(self._known) > REMEMBERED:
                self._known.clear()
            self._known[id(rows)] = rows, text
        return self._known[id(rows)][1]


def _process(process: Process, local: ServiceState) -> Any:
    if not isinstance(process, ProcessState):
        return process
    (outbox, effects, gaps, *_), heard = msgspec.structs.astuple(process.memory), process.heard
    # An answer without its number, which is that of a row.
    news = [(type(it).__name__, row_of(it, local), repr(getattr(it, "result", 0))) for it in heard]
    done = [_done(outbox, Outbox, local), _done(effects, Effect, local)]
    return (outbox.is_open, done, gaps, news)


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


def _without(column: str, row: Row) -> bytes:
    return msgspec.json.encode(replace(row, **{column: 0}))


def _inbox(row: Inbox) -> tuple[Any, ...]:
    waits = row.state == "waiting"
    return row.id, row.state, *((row.attempts, row.body, repr(row.headers)) if waits else ())


def _counter(row: Counter) -> tuple[Any, ...]:
    return () if row.name.partition("@")[0] in NOISE else (row.name, row.value)


# What is seen of a row; nothing, if no decision looks at it.
_SEEN = {Inbox: _inbox, Counter: _counter, Timer: attrgetter("id", "correlation")}
_DONE = {Outbox: attrgetter("id", "number", "again"), Effect: attrgetter("id", "key", "state")}
_WAITING = {
    Outbox: attrgetter("id", "owner", "exchange", "headers", "body", "again"),
    Effect: attrgetter("id", "owner", "key", "attempts", "body"),
}


def _outgoing(kind: type[Row], rows: Iterable[Any], windows: list[Window[Any] | None]) -> Any:
    """Those done, in any order, and those that are not, in theirs."""
    done = sorted(_DONE[kind](row) for row in rows if row.done_at is not None)
    waiting = sorted((row for row in rows if row.done_at is None), key=attrgetter("seq"))
    stages = ([row.due is None, *(_way(row, window) for window in windows)] for row in waiting)
    return [done, *zip(map(_WAITING[kind], waiting), stages, strict=True)]


def _way(row: Any, window: Window[Any] | None) -> str:
    if window is None:
        return "down"
    if row.seq in window.under_way:
        return "under way"
    if row.due is not None:
        return ""  # it is taken when it is due, whatever a relay has passed
    return "waits" if row.seq <= window.last else "behind" if window.behind else "new"


def row_of(news: Any, local: ServiceState) -> tuple[str, str]:
    """What an answer is about: its row's id and saga; or its number, if there never was a row."""
    kind, seq = (Outbox, news.seqs[0]) if hasattr(news, "seqs") else (Effect, news.seq)
    row = local.tables.get(kind, {}).get(seq)
    return (row.id, row.subject) if row else (str(seq), "")
