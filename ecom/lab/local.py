"""One service's part of a state: its tables, what its processes keep in mind, its outside world.

Time stands still in the laboratory: handlers are always run at `NOW`, and any deadline, retry or
lease may be the next to come due. That allows every order of events a real clock allows (and
some that it does not), whatever the seconds are; and no state differs from another by a time.
"""

from typing import Any, NamedTuple

import msgspec

from ecom.lab.disk import Tables
from ecom.lab.outside import Ledger
from ecom.rows import Counter, Effect, Inbox, Outbox, Timer
from ecom.runtime import Runtime
from ecom.services.audit import Entry

NOW = 0.0
NOISE = ("outbox", "effects", "events")  # counters that only number rows


class Mind(NamedTuple):
    """What one process keeps in memory, and so loses in a crash."""

    connected: bool
    sent: tuple[int, ...] = ()  # outbox rows under way: published, not known to be confirmed
    sent_last: int = 0
    doing: tuple[int, ...] = ()  # effects under way
    doing_last: int = 0
    heard: tuple[Any, ...] = ()  # answers that have arrived and wait to be handled, as inputs


class Local(NamedTuple):
    """One service. A process that is down has no mind (None)."""

    tables: Tables
    synced: Tables  # what a power cut leaves
    minds: tuple[Mind | None, ...]
    ledger: Ledger = ()
    reading: tuple[Any, ...] = ()  # transactions begun and not yet committed, if nothing locks


def wake(runtime: Runtime, mind: Mind, tables: Tables) -> None:
    """Give a new runtime the memory it had. The one place that knows the runtime's inside."""
    outbox, effects = runtime._outbox, runtime._effects
    outbox._open = mind.connected
    outbox._last, effects._last = mind.sent_last, mind.doing_last
    outbox._under_way = {seq: tables[Outbox][seq] for seq in mind.sent}
    effects._under_way = {seq: tables[Effect][seq] for seq in mind.doing}


def mind_of(runtime: Runtime, heard: tuple[Any, ...]) -> Mind:
    """What the runtime has in mind now."""
    outbox, effects = runtime._outbox, runtime._effects
    return Mind(
        outbox._open, tuple(sorted(outbox._under_way)), outbox._last,
        tuple(sorted(effects._under_way)), effects._last, heard,
    )  # fmt: skip


def canonical(local: Local) -> str:
    """A text that two locals share if and only if they behave the same from now on.

    Left out is what no decision looks at: the numbers of outbox and effect rows (their order is
    kept), the contents of rows that are done (their ids are kept, for duplicates and for the
    audit), and the number under which audit has filed an event.
    """
    parts = [_tables(local.tables, local.minds), sorted(local.ledger, key=lambda b: b.order_id)]
    if local.synced != local.tables:
        parts.append(_tables(local.synced, ()))
    parts += [
        None if mind is None else (mind.connected, [_news(each, local) for each in mind.heard])
        for mind in local.minds
    ]
    parts += [(what, _tables(base, ())) for _, what, base in local.reading]
    return repr(parts)


def _tables(tables: Tables, minds: tuple[Mind | None, ...]) -> list[Any]:
    return [
        (kind.table, _SPECIAL.get(kind, _plain)(rows.values(), minds))
        for kind, rows in sorted(tables.items(), key=lambda item: item[0].table)
        if rows
    ]


def _plain(rows: Any, _: Any) -> list[bytes]:
    return sorted(msgspec.json.encode(row) for row in rows)


def _inbox(rows: Any, _: Any) -> list[Any]:
    return sorted((row.id, row.state, row.state == "waiting" and row.attempts) for row in rows)


def _counters(rows: Any, _: Any) -> list[Any]:
    return sorted((row.name, row.value) for row in rows if row.name not in NOISE)


def _outbox(rows: Any, minds: Any) -> list[Any]:
    done = sorted(row.id for row in rows if row.done_at is not None)
    return [done] + [
        (row.id, row.exchange, row.owner, row.body, repr(row.headers),
         [_way(row.seq, mind, True) for mind in minds])
        for row in sorted(rows, key=lambda row: row.seq)
        if row.done_at is None
    ]  # fmt: skip


def _effects(rows: Any, minds: Any) -> list[Any]:
    done = sorted((row.id, row.state) for row in rows if row.done_at is not None)
    return [done] + [
        (row.id, row.key, row.owner, row.attempts, [_way(row.seq, mind, False) for mind in minds])
        for row in sorted(rows, key=lambda row: row.seq)
        if row.done_at is None
    ]


def _way(seq: int, mind: Mind | None, outbox: bool) -> str:
    if mind is None:
        return "down"
    under_way, last = (mind.sent, mind.sent_last) if outbox else (mind.doing, mind.doing_last)
    return "under way" if seq in under_way else "new" if seq > last else "waits"


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
    Timer: lambda rows, _: sorted(row.id for row in rows),
    Entry: lambda rows, _: sorted(row.id for row in rows),
}
