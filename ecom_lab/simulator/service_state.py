"""One service's part of a state: its tables, what its processes keep in mind, its outside world.

Time stands still in the laboratory: handlers are always run at `NOW`, and any deadline, retry or
lease may be the next to come due. That allows every order of events a real clock allows (and
some that it does not), whatever the seconds are; and no state differs from another by a time.
"""

from typing import Any, NamedTuple

import msgspec

from ecom.runtime.runtime import Runtime
from ecom.runtime.tables import Counter, Effect, Inbox, Outbox, Timer
from ecom.services.audit import Entry
from ecom_lab.simulator.durability import Tables
from ecom_lab.simulator.fake_effects import Ledger

NOW = 0.0
NOISE = ("outbox", "effects", "events", "duplicates")  # counters that no decision looks at


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
    for outgoing, kind, seqs in ((outbox, Outbox, mind.sent), (effects, Effect, mind.doing)):
        rows = tables.get(kind, {})
        outgoing._under_way = {seq: rows[seq] for seq in seqs if seq in rows}


def mind_of(runtime: Runtime, heard: tuple[Any, ...]) -> Mind:
    """What the runtime has in mind now."""
    outbox, effects = runtime._outbox, runtime._effects
    return Mind(
        outbox._open, tuple(sorted(outbox._under_way)), outbox._last,
        tuple(sorted(effects._under_way)), effects._last, heard,
    )  # fmt: skip


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
        (row.id, row.order_id, row.state)
        + ((row.attempts, row.body, repr(row.headers)) if row.state == "waiting" else ())
        for row in rows
    )


def _counters(rows: Any, _: Any) -> list[Any]:
    return sorted((row.name, row.value) for row in rows if row.name not in NOISE)


def _outbox(rows: Any, minds: Any) -> list[Any]:
    done = sorted((row.id, row.order_id) for row in rows if row.done_at is not None)
    return [done] + [
        (row.id, row.exchange, row.owner, row.due is None, row.body, repr(row.headers),
         [_way(row.seq, mind, True) for mind in minds])
        for row in sorted(rows, key=lambda row: row.seq)
        if row.done_at is None
    ]  # fmt: skip


def _effects(rows: Any, minds: Any) -> list[Any]:
    done = sorted((row.key, row.id, row.state) for row in rows if row.done_at is not None)
    return [done] + [
        (row.id, row.key, row.body, row.owner, row.due is None, row.attempts,
         [_way(row.seq, mind, False) for mind in minds])
        for row in sorted(rows, key=lambda row: row.seq)
        if row.done_at is None
    ]  # fmt: skip


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
    Timer: lambda rows, _: sorted((row.id, row.correlation) for row in rows),
    Entry: lambda rows, _: sorted((row.id, row.order_id) for row in rows),
}
