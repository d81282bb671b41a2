"""What a process may do next by itself: hear an answer, see a deadline pass, start again, die."""

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec.structs import replace

from ecom.runtime.tables import Effect, Inbox, Outbox, Timer
from ecom_lab.simulator.service_state import Local, Mind, is_put_off

What = tuple[Any, ...]  # an input: its kind, the number of the replica, and what it is about

OUTGOING = {kind.table: kind for kind in (Outbox, Effect)}


def wants(local: Local, replica: int, kinds: Iterable[str]) -> Iterator[tuple[What, int]]:
    """The inputs that need nobody else, each with the number of faults it takes."""
    mind = local.minds[replica]
    if mind is None:
        yield ("restart", replica), 0
        return
    if begun := begun_by(local, replica):
        yield ("write", replica, begun[1]), 0
        return
    if not mind.connected:
        yield ("reconnect", replica), 0
    for news in mind.heard:
        yield ("answer", replica, row_of(news, local)), 0
    for timer in local.tables.get(Timer, {}):
        yield ("timer", replica, timer), 0
    for row in local.tables.get(Inbox, {}).values():
        if row.state == "waiting":
            yield ("retry", replica, row.id), 0
    yield from overdue(local, replica, mind)
    sent, doing = mind.memory.outbox.under_way, mind.memory.effects.under_way
    if (doing or sent or not mind.connected) and "crash" in kinds:
        yield ("crash", replica), 1
    if sent and mind.connected and "line" in kinds:
        yield ("cut off", replica), 1


def begun_by(local: Local, replica: int) -> Any:
    """The transaction that this replica has begun, with what it has read, if nothing locks."""
    return next((each for each in local.reading if each[0] == replica), None)


def row_of(news: Any, local: Local) -> str:
    """What an answer is about, by the id of its row."""
    if hasattr(news, "seqs"):
        return local.tables[Outbox][news.seqs[0]].id
    return local.tables[Effect][news.seq].id


def overdue(local: Local, replica: int, mind: Mind) -> Iterator[tuple[What, int]]:
    """Outgoing rows that only the clock brings back: put off by their own replica, or a sibling's.

    A sibling that is merely slow is a fault; of one that is down, the lease simply runs out. No row
    of a replica that lives has to wait for its own lease: one that would is forgotten here.
    """
    for kind, window in ((Outbox, mind.memory.outbox), (Effect, mind.memory.effects)):
        if not window.is_open:
            continue
        under_way = {row.seq for row in window.under_way}
        for seq, row in local.tables.get(kind, {}).items():
            if row.done_at is not None or row.due is None or seq in under_way:
                continue
            owner = int(row.owner) - 1
            if owner != replica:
                cost = int(local.minds[owner] is not None)
                yield ("again", replica, kind.table, row.id), cost
            elif is_put_off(row):
                yield ("again", replica, kind.table, row.id), 0
            elif seq > window.last:
                yield ("tick", replica), 0


def now_due(local: Local, kind: Any, id_: str) -> Local:
    """The clock has come to this row."""
    rows = local.tables[kind]
    key, row = next((key, row) for key, row in rows.items() if row.id == id_)
    tables = local.tables | {kind: rows | {key: replace(row, due=0.0)}}
    synced = tables if local.synced == local.tables else local.synced
    return local._replace(tables=tables, synced=synced)
