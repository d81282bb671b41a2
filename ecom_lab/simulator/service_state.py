"""One service's part of a state: its tables, what its processes keep in mind, its outside world.

Time stands still in the laboratory: handlers are always run at `NOW`, and any deadline, retry or
lease may be the next to come due. That allows every order of events a real clock allows (and
some that it does not), whatever the seconds are; and no state differs from another by a time.
"""

from typing import Any, NamedTuple

import msgspec

from ecom.runtime.memory import Memory, Window
from ecom.runtime.service import LEASE
from ecom.runtime.tables import Counter, Effect, Inbox, Outbox, Timer
from ecom.services.audit import Entry
from ecom_lab.simulator.durability import Tables
from ecom_lab.simulator.fake_effects import Ledger

NOW = 0.0
NOISE = ("inbox", "outbox", "effects", "events", "duplicates")  # counters that no decision looks at


class Mind(NamedTuple):
    """What one process keeps in memory, and so loses in a crash."""

    memory: Memory = Memory()
    heard: tuple[Any, ...] = ()  # answers that have arrived and wait to be handled, as inputs

    @property
    def connected(self) -> bool:
        """Whether the broker takes messages from it."""
        return self.memory.outbox.is_open


class Local(NamedTuple):
    """One service. A process that is down has no mind (None)."""

    tables: Tables
    synced: Tables  # what a power cut leaves
    minds: tuple[Mind | None, ...]
    ledger: Ledger = ()
    reading: tuple[Any, ...] = ()  # transactions begun and not yet committed, if nothing locks


def is_put_off(row: Outbox | Effect) -> bool:
    """Whether a row that is not done is to be tried again soon: it came back, or failed."""
    return row.due is not None and row.due < NOW + LEASE


def replaced(minds: tuple[Mind | None, ...], replica: int, mind: Mind | None) -> tuple:
    """The minds with another one for this replica."""
    return (*minds[:replica], mind, *minds[replica + 1 :])


Texts = dict[int, tuple[Any, Any]]  # id of a table's rows: (the rows, to keep the id, their text)


def canonical(local: Local, known: Texts) -> str:
    """A text that two locals share only if they behave the same from now on.

    Left out is what no decision looks at: the numbers of outbox and effect rows (their order is
    kept), the contents of rows that are done (their ids are kept, for duplicates and for the
    audit), and the number under which audit has filed an event. `known` saves looking again at
    tables that did not change: it belongs to whoever asks, and may start empty.
    """
    ledger = sorted(local.ledger, key=lambda booking: booking.order_id)
    parts = [_tables(local.tables, local.minds, known), ledger]
    if local.synced != local.tables:
        parts.append(_tables(local.synced, (), known))
    parts += [
        None if mind is None else (mind.connected, [_news(each, local) for each in mind.heard])
        for mind in local.minds
    ]
    parts += [(who, what, _tables(base, (), known)) for who, what, base in local.reading]
    return repr(parts)


def _tables(tables: Tables, minds: tuple[Mind | None, ...], known: Texts) -> list[Any]:
    return [
        (kind.table, _text(kind, rows, minds, known))
        for kind, rows in sorted(tables.items(), key=lambda item: item[0].table)
        if rows
    ]


def _text(kind: type, rows: dict, minds: tuple[Mind | None, ...], known: Texts) -> Any:
    if kind in (Outbox, Effect):
        return _SPECIAL[kind](rows.values(), minds)
    if id(rows) not in known:
        known[id(rows)] = rows, repr(_SPECIAL.get(kind, _plain)(rows.values(), minds))
    return known[id(rows)][1]


def _plain(rows: Any, _: Any) -> list[bytes]:
    return sorted(msgspec.json.encode(row) for row in rows)


def _inbox(rows: Any, _: Any) -> list[Any]:
    return sorted(
        (row.id, row.subject, row.state)
        + ((row.attempts, row.body, repr(row.headers)) if row.state == "waiting" else ())
        for row in rows
    )


def _counters(rows: Any, _: Any) -> list[Any]:
    return sorted((row.name, row.value) for row in rows if row.name not in NOISE)


def _outbox(rows: Any, minds: Any) -> list[Any]:
    windows = [mind and mind.memory.outbox for mind in minds]
    done = sorted((row.id, row.subject) for row in rows if row.done_at is not None)
    waiting = (row for row in rows if row.done_at is None)
    return [done] + [
        (row.id, row.exchange, row.body, repr(row.headers), *_stage(row, windows))
        for row in sorted(waiting, key=lambda row: row.seq)
    ]


def _effects(rows: Any, minds: Any) -> list[Any]:
    windows = [mind and mind.memory.effects for mind in minds]
    done = sorted((row.key, row.id, row.state) for row in rows if row.done_at is not None)
    waiting = (row for row in rows if row.done_at is None)
    return [done] + [
        (row.id, row.key, row.body, row.attempts, *_stage(row, windows))
        for row in sorted(waiting, key=lambda row: row.seq)
    ]


def _stage(row: Any, windows: Any) -> tuple[str, str, list[str]]:
    due = "never" if row.due is None else "put off" if is_put_off(row) else "leased"
    return row.owner, due, [_way(row.seq, window) for window in windows]


def _way(seq: int, window: Window | None) -> str:
    if window is None:
        return "down"
    if any(row.seq == seq for row in window.under_way):
        return "under way"
    return "waits" if seq <= window.last else "behind" if window.behind else "new"


def _news(news: Any, local: Local) -> Any:
    """An input without its number, which is that of a row."""
    if hasattr(news, "seqs"):
        return type(news).__name__, [local.tables[Outbox][seq].id for seq in news.seqs]
    return type(news).__name__, local.tables[Effect][news.seq].id, repr(getattr(news, "result", 0))


_SPECIAL = {
    Inbox: _inbox,
    Outbox: _outbox,
    Effect: _effects,
    Counter: _counters,
    Timer: lambda rows, _: sorted((row.id, row.correlation) for row in rows),
    Entry: lambda rows, _: sorted((row.id, row.order_id) for row in rows),
}
