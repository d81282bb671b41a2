"""What a process may do next by itself: hear an answer, see a deadline pass, start again, die."""

from collections.abc import Iterable, Iterator
from typing import Any

from ecom.runtime.tables import Effect, Inbox, Outbox, Timer
from ecom_lab.simulator.service_state import Local, Mind, is_put_off, row_of

Input = tuple[Any, ...]  # its kind, and what it is about
What = tuple[int, tuple[Input, ...]]  # the number of a replica, and what it is given at once

ALONE = frozenset(("restart", "reconnect", "read", "write"))  # never in a batch; nor is a fault


def wants(
    local: Local, replica: int, kinds: Iterable[str], windows: tuple[int, int]
) -> Iterator[tuple[Input, int]]:
    """The inputs that need nobody else, each with the number of faults it takes."""
    mind = local.minds[replica]
    if mind is None:
        yield ("restart",), 0
    if not isinstance(mind, Mind):
        return
    if begun := begun_by(local, replica):
        yield ("write", *begun[1]), 0
        return
    if not mind.connected:
        yield ("reconnect",), 0
    for news in mind.heard:
        yield ("answer", row_of(news, local)), 0
    for timer in local.tables.get(Timer, {}):
        yield ("timer", timer), 0
    for row in local.tables.get(Inbox, {}).values():
        if row.state == "waiting":
            yield ("retry", row.id), 0
    yield from _overdue(local, replica, mind, windows)
    yield from ((fault, 1) for fault in _deaths(local, mind, kinds))


def _deaths(local: Local, mind: Mind, kinds: Iterable[str]) -> Iterator[Input]:
    """What may strike between two steps, where it makes a difference."""
    sent, doing = mind.memory.outbox.under_way, mind.memory.effects.under_way
    if doing or sent or not mind.connected:
        if "crash" in kinds:
            yield ("crash",)
        if "gone" in kinds and has_sibling(local):
            yield ("gone",)
    if sent and mind.connected and "line" in kinds:
        yield ("cut off",)


def has_sibling(local: Local) -> bool:
    """Whether more than one process of the service lives."""
    return sum(isinstance(mind, Mind) for mind in local.minds) > 1


def begun_by(local: Local, replica: int) -> Any:
    """The transaction that this replica has begun, with what it has read, if nothing locks."""
    return next((each for each in local.reading if each[0] == replica), None)


def _overdue(
    local: Local, replica: int, mind: Mind, windows: tuple[int, int]
) -> Iterator[tuple[Input, int]]:
    """Outgoing rows that only the clock brings back: put off by their own replica, or a sibling's.

    A sibling that is merely slow is a fault; of one that is down, the lease simply runs out. No row
    of a replica that lives has to wait for its own lease: one that would is forgotten here.
    """
    waits = False  # though there is room
    both = (mind.memory.outbox, mind.memory.effects)
    for kind, window, most in zip((Outbox, Effect), both, windows, strict=True):
        if not window.is_open:
            continue
        under_way = {row.seq for row in window.under_way}
        for seq, row in local.tables.get(kind, {}).items():
            if row.done_at is not None or row.due is None or seq in under_way:
                continue
            owner = int(row.owner) - 1
            if owner != replica:
                yield ("again", kind.table, row.id), int(isinstance(local.minds[owner], Mind))
            elif is_put_off(row):
                yield ("again", kind.table, row.id), 0
            elif seq > window.last and len(under_way) < most:
                waits = True
    if waits:
        yield ("tick",), 0
