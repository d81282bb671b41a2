"""A dry run: what a message would do if it were replayed now; nothing is kept.

The real runtime handles it on the service's real database, opened read-only; its writes are
compared instead of made. That happens in a process of its own, as the message may be one that
kills.
"""

import pickle
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle
import msgspec

from ecom.harness.dead_letters.trial import Asked, Change, Said, Trial
from ecom.process import child
from ecom.runtime.messages import Delivery
from ecom.runtime.runtime import Runtime
from ecom.runtime.saga import Saga
from ecom.runtime.service import Service
from ecom.runtime.tables import Effect, Inbox, Outbox, Timer
from ecom.stores.base import R, Row
from ecom.stores.query import Key, key_of
from ecom.stores.reader import Database

SECONDS = 30.0  # after these it counts as hanging


@dataclass(frozen=True)
class Attempt:
    """What to try, and where."""

    saga: Saga
    folder: Path
    service: str
    headers: dict[str, Any]
    body: bytes


class Rehearsal(Database):
    """A service's database as it is at this moment; what would be written is in `written`."""

    def __init__(self, folder: Path, service: str) -> None:
        super().__init__(folder, service)
        self.written: dict[type[Row], tuple[list[Row], list[Key]]] = {}

    def begin(self) -> None:
        self._run("BEGIN")

    def write(self, kind: type[R], puts: list[R], deletes: list[Key]) -> None:
        self.written[kind] = puts, deletes

    def change(self, kind: type[R], rows: list[R], columns: list[str]) -> None:
        puts, deletes = self.written.get(kind, ([], []))
        self.written[kind] = [*puts, *rows], deletes

    def commit(self) -> None:
        """Do nothing: the snapshot stays for comparison, until `close`."""


def rehearse(attempt: Attempt) -> Trial:
    """Try it in a process of its own; that the process died is an outcome, too."""
    try:
        pickled = cloudpickle.dumps(attempt)  # its saga may be anybody's: its code goes with it
        return child.call(f"{__name__}:rehearse_here", pickled, seconds=SECONDS)
    except TimeoutError:
        return Trial("would hang", f"not done after {SECONDS:g} seconds")
    except child.Died as death:
        return Trial("would kill the process", str(death))


def rehearse_here(pickled: bytes) -> Trial:
    """Try a pickled attempt in this process."""
    return _try(pickle.loads(pickled), time.time())


def _try(attempt: Attempt, now: float) -> Trial:
    """Let the runtime handle it, and see what it would write."""
    store = Rehearsal(attempt.folder, attempt.service)
    runtime = Runtime(attempt.saga, attempt.service, store, "rehearsal", lambda: 0.0)
    # Through the default exchange, as an operator's replay is.
    delivery = Delivery(1, 1, "", attempt.service, attempt.headers, attempt.body)
    next(runtime.step([delivery], now)).transaction.commit()
    trial = _judge(runtime.service, store)
    store.close()
    return trial


def _judge(service: Service, store: Rehearsal) -> Trial:
    letters = [row for row in _puts(store, Outbox) if row.exchange == "dead"]
    received = _puts(store, Inbox)
    if letters:
        return Trial("would be a dead letter again", letters[0].headers["dead-exception"])
    if received and received[0].last_error:
        return Trial("would fail, and be tried again", received[0].last_error)
    asked = [Asked(row.type, row.key, row.body.decode()) for row in _puts(store, Effect)]
    if not received and not asked:
        return Trial("would do nothing: the service has dealt with it")
    changes = [change for kind in (*service.rows, Timer) for change in _changes(store, kind)]
    said = [Said(row.type, row.subject, row.body.decode()) for row in _puts(store, Outbox)]
    return Trial("would be handled", "", changes, said, asked)


def _puts(store: Rehearsal, kind: type[R]) -> list[R]:
    return store.written.get(kind, ([], []))[0]


def _changes(store: Rehearsal, kind: type[Row]) -> Iterator[Change]:
    """Each column of each row that would differ."""
    puts, deletes = store.written.get(kind, ([], []))
    for row in puts:
        yield from _differences(kind, key_of(row), store.fetch(kind, key_of(row)), row)
    for key in deletes:
        if before := store.fetch(kind, key):
            yield from _differences(kind, key, before, None)


def _differences(kind: type[Row], key: Key, before: Any, after: Any) -> Iterator[Change]:
    for column in kind.__struct_fields__:
        old, new = (row and _plain(getattr(row, column)) for row in (before, after))
        if old != new:
            yield Change(kind.table, str(key), column, old, new)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return value if isinstance(value, str | int | float | None) else str(msgspec.to_builtins(value))
