"""What is given to the runtime, for each input of the world."""

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from ecom.runtime.messages import Command, Delivery, PublisherUp, TallyDue, Tick
from ecom.runtime.replicas import BEFORE
from ecom.runtime.service import LEASE
from ecom.runtime.tables import Effect, Inbox, Outbox, Replica, Timer
from ecom.stores.base import Row
from ecom_lab.simulator.broker import Held, Numbers
from ecom_lab.simulator.choices import Input
from ecom_lab.simulator.service_state import NOW, ProcessState, ServiceState, row_of

DELIVERED = ("deliver", "overtake", "write")
AWAITED: dict[str, type[Row]] = {"retry": Inbox, "again outbox": Outbox, "again effects": Effect}


def prepared(
    local: ServiceState, process: ProcessState, inputs: tuple[Input, ...], messages: Numbers
) -> tuple[list[Any], ServiceState, ProcessState]:
    """The inputs proper. What comes due is what the clock has reached: its time is now."""
    given: list[Any] = []
    # Who has a lease, and what an echo has told, is said by the inputs alone (see `_now_due`): no
    # state tells it, so no step may depend on what earlier ones left of it.
    is_synced = local.synced == local.tables
    local = local._replace(tables=local.tables | {Replica: {}})
    for kind, *about in inputs:
        if kind in DELIVERED:
            tag = 1 + sum(isinstance(it, Delivery) for it in given)
            given += [_delivery(messages, n, held) for n, held in enumerate(about, tag)]
            if given[-1].key.endswith(".echo"):  # whatever has asked has come due before
                local = _reached(local, local.tables.get(Timer, {}), BEFORE)
                given.append(Tick())
        elif kind == "command":
            message, id_, client = about
            given.append(Command(id_, message, client))
        elif kind == "answer":
            given.append(next(it for it in process.heard if row_of(it, local)[0] == about[0]))
            process = process._replace(
                heard=tuple(it for it in process.heard if it is not given[-1])
            )
        elif kind in ("restart", "reconnect"):
            given.append(PublisherUp())
        elif kind == "tally due":  # and what was sent again may be once more
            rows = local.tables.get(Outbox, {})
            sent = {key: row for key, row in rows.items() if row.done_at is not None}
            local = _with(local, Outbox, {key: replace(it, again=0) for key, it in sent.items()})
            given.append(TallyDue())
        elif kind == "timer":
            id_, *asks = about  # any order of a deadline and what is on its way to the queue may be
            local = _reached(local, [id_], BEFORE if asks else NOW)
            given.append(Tick())
        else:
            local = local if kind == "tick" else _now_due(local, kind, about)
            given.append(Tick())
    return given, local._replace(synced=local.tables) if is_synced else local, process


def _delivery(messages: Numbers, tag: int, held: Held) -> Delivery:
    it = messages.values[held.message]
    # Quorum queues say how often it came back.
    counted = {"x-delivery-count": held.returned} if held.returned else {}
    return Delivery(1, tag, it.exchange, it.key, it.headers | counted, it.body, it.user)


def _now_due(local: ServiceState, kind: str, about: list[str]) -> ServiceState:
    """The clock has come to this row: a retry, or what is to be sent again."""
    if kind == "adopt":
        return _with(local, Replica, {about[0]: Replica(about[0], NOW)})
    row_type, id_ = AWAITED[kind], about[0]
    key, row = next(it for it in local.tables[row_type].items() if it[1].id == id_)
    return _with(local, row_type, {key: replace(row, due=NOW)})


def _reached(local: ServiceState, ids: Iterable[str], heard: float) -> ServiceState:
    """The clock has come to these deadlines; echoes from up to then have been heard."""
    names = [str(n) for n, _ in enumerate(local.processes, 1)]
    local = _with(local, Replica, {name: Replica(name, LEASE, NOW, heard) for name in names})
    rows = local.tables.get(Timer, {})
    return _with(local, Timer, {id_: replace(rows[id_], due=NOW) for id_ in ids})


def _with(local: ServiceState, kind: type[Row], rows: dict[Any, Row]) -> ServiceState:
    return local._replace(tables=local.tables | {kind: local.tables.get(kind, {}) | rows})
