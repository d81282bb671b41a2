"""What a process may do next by itself: hear an answer, see a deadline pass, start again, die."""

from collections.abc import Iterable, Iterator
from typing import Any

from ecom.runtime.tables import Effect, Inbox, Outbox, Timer
from ecom_lab.simulator.scenario import Scenario
from ecom_lab.simulator.service_state import (
    Begun,
    ProcessState,
    ServiceState,
    is_put_off,
    row_of,
)

Input = tuple[Any, ...]  # its kind, and what it is about
What = tuple[int, tuple[Input, ...]]  # the number of a replica, and what it is given at once

ALONE = frozenset(("restart", "reconnect", "read", "write"))  # never in a batch; nor is a fault


def enabled_actions(
    local: ServiceState, replica: int, scenario: Scenario
) -> Iterator[tuple[Input, int]]:
    """The inputs that need nobody else, each with the number of faults it takes."""
    process = local.processes[replica]
    if process is None:
        yield ("restart",), 0
    if not isinstance(process, ProcessState):
        return
    if begun := begun_by(local, replica):
        yield ("write", *begun.held), 0
        return
    if not process.connected:
        yield ("reconnect",), 0
    for news in process.heard:
        said = getattr(news, "error", "") or type(getattr(news, "result", news)).__name__
        yield ("answer", row_of(news, local), said), 0
    for timer in local.tables.get(Timer, {}):
        yield ("timer", timer), 0
    for row in local.tables.get(Inbox, {}).values():
        if row.state == "waiting":
            yield ("retry", row.id, row.type, row.subject), 0
    yield from _overdue(local, replica, process, scenario)
    yield from ((fault, 1) for fault in _deaths(local, process, scenario.kinds))


def _deaths(local: ServiceState, process: ProcessState, kinds: Iterable[str]) -> Iterator[Input]:
    """What may strike between two steps, where it makes a difference."""
    sent, doing = process.memory.outbox.under_way, process.memory.effects.under_way
    if doing or sent or not process.connected:
        if "crash" in kinds:
            yield ("crash",)
        if "gone" in kinds and has_sibling(local):
            yield ("gone",)
    if sent and process.connected and "line" in kinds:
        yield ("cut off",)


def has_sibling(local: ServiceState) -> bool:
    """Whether more than one process of the service lives."""
    return sum(isinstance(process, ProcessState) for process in local.processes) > 1


def begun_by(local: ServiceState, replica: int) -> Begun | None:
    """The transaction that this replica has begun, if it is in the middle of one."""
    return next((each for each in local.begun if each.replica == replica), None)


def _overdue(
    local: ServiceState, replica: int, process: ProcessState, scenario: Scenario
) -> Iterator[tuple[Input, int]]:
    """Outgoing rows that only the clock brings: put off, or those of a sibling, all at once.

    A sibling that is merely slow is a fault; of one that is down, the lease simply runs out. No row
    of a replica that lives has to wait for its own lease: one that would is forgotten here.
    """
    waits, others = False, set[str]()  # though there is room; whose rows they are
    states = zip(scenario.names, local.processes, strict=False)
    living = {name for name, it in states if isinstance(it, ProcessState)}
    both = (process.memory.outbox, process.memory.effects)
    for kind, window, most in zip((Outbox, Effect), both, scenario.windows, strict=True):
        if not window.is_open:
            continue
        under_way = window.under_way
        for seq, row in local.tables.get(kind, {}).items():
            if row.done_at is not None or seq in under_way:
                continue
            is_ours = row.owner == scenario.names[replica]
            alive = not is_ours and row.owner in living
            if not is_ours and not is_put_off(row):
                others.add(row.owner)
            elif is_put_off(row):
                yield (f"again {kind.table}", row.id, row.type, row.subject), int(alive)
            elif seq > window.last and len(under_way) < most:
                waits = True
    if waits:
        yield ("tick",), 0
    for owner in sorted(others):
        yield ("adopt", owner), int(owner in living)
