"""A dry run: what a message would do if it were replayed now; nothing is kept.

The real runtime handles it on the service's real database, opened read-only, in a transaction that
nobody commits: its writes are compared instead of made. That happens in a process of its own, as
the message may be one that kills.
"""

import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ecom.harness.carried import carried
from ecom.process import child
from ecom.runtime.messages import Delivery
from ecom.runtime.runtime import Runtime
from ecom.runtime.saga import Saga
from ecom.runtime.tables import Effect, Inbox, Outbox, Timer
from ecom.stores.base import Hold, R, Row, Store, Transaction, Where
from ecom.stores.query import Key
from ecom.stores.reader import Reader
from ecom.stores.reading import Reading
from ecom.telemetry.logs import one_line

SECONDS = 30.0  # after these it counts as hanging

Cells = tuple[Any, ...]  # of one row


class DryRun(Struct, frozen=True):
    """What would become of a dead letter, if it were replayed as the service stands now."""

    outcome: str  # "would …"
    error: str = ""
    # What would change in the service's tables: table, key, column, before (None: a new row), after
    # (None: a row that is deleted). A line each column.
    changes: list[Cells] = []
    events: list[Cells] = []  # that it would emit: type, whose it is, body
    effects: list[Cells] = []  # that it would request: type, idempotency key, body
    noun: str = "saga"  # what the saga's own events call their subject

    @property
    def is_good(self) -> bool:
        """Whether it would be handled. Of an effect, that cannot be known."""
        return self.outcome == "would be handled"

    def __repr__(self) -> str:
        lines = [f"It {self.outcome}{': ' + self.error if self.error else ''}"]
        lines += ["  {} {}: {} {!r} → {!r}".format(*change) for change in self.changes]
        lines += [f"  emits {key} of {self.noun} {of}: {body}" for key, of, body in self.events]
        lines += ["  requests {} under {}: {}".format(*effect) for effect in self.effects]
        return "\n".join(map(one_line, lines))


def dry_run(
    saga: Saga, folder: Path, service: str, user: str, headers: dict[str, Any], body: bytes
) -> DryRun:
    """Try it in a process of its own, as if the service were connected as `user`; that the process
    died is an outcome, too."""
    try:
        # Its saga may be anybody's: its code goes with it.
        pickled = carried((saga, folder, service, user, headers, body))
        return child.call(f"{__name__}:run_here", pickled, seconds=SECONDS)
    except TimeoutError:
        return DryRun("would hang", f"not done after {SECONDS:g} seconds")
    except child.Died as death:
        return DryRun("would kill the process", str(death))


def run_here(pickled: bytes) -> DryRun:
    """Let the runtime handle it in this process, and see what it would write."""
    saga, folder, service, user, headers, body = pickle.loads(pickled)
    # Through the default exchange, as an operator's replay is.
    delivery = Delivery(1, 1, "", service, headers, body, None)
    with Reader(folder) as read, read[service].moment():
        database = Unwritten(read[service])
        runtime = Runtime(saga, service, database, "dry run", lambda: 0.0, user)
        tx, kinds = next(runtime.step([delivery], time.time())).transaction, runtime.service.rows
        changed = [it for kind in (*kinds, Timer) for it in _changes(tx, kind, database)]
    return replace(_outcome(tx, changed), noun=saga.contract.subject)


class Unwritten(Store):
    """A service's database as it is at one moment, of which a transaction only reads."""

    def __init__(self, read: Reading) -> None:
        self.fetch, self._select = read.fetch, read.select

    def fetch_many(self, kind: type[R], keys: list[Key]) -> list[R]:
        return [row for key in keys if (row := self.fetch(kind, key)) is not None]

    def select(self, kind: type[R], want: Where, limit: int | None, hold: Hold = "look") -> list[R]:
        return self._select(kind, want, limit)


def _outcome(tx: Transaction, changed: list[Cells]) -> DryRun:
    sent, received, effects = (tx[kind].written() for kind in (Outbox, Inbox, Effect))
    for row in sent:
        if row.exchange == "dead":
            return DryRun("would be a dead letter again", row.headers["dead-exception"])
    if received and received[0].last_error:
        return DryRun("would fail, and be tried again", received[0].last_error)
    requested = [(row.type, row.key, row.body.decode()) for row in effects]
    if not received and not requested:
        return DryRun("would do nothing: the service has dealt with it")
    published = [(row.type, row.subject, row.body.decode()) for row in sent]
    if not received:  # an effect: nobody is asked here
        unknown = "would be tried anew, and what is answered then nobody knows; the last answer was"
        return DryRun(unknown, effects[0].last_error or "none", changed, published, requested)
    return DryRun("would be handled", "", changed, published, requested)


def _changes(tx: Transaction, kind: type[Row], database: Store) -> Iterator[Cells]:
    """Each column of each row of this kind that would differ, as `DryRun.changes` has them."""
    for key, after in tx[kind].changes.items():
        before = database.fetch(kind, key)
        for column in kind.__struct_fields__:
            old, new = (row and _plain(getattr(row, column)) for row in (before, after))
            if old != new:
                yield kind.table, str(key), column, old, new


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return value if isinstance(value, str | int | float | None) else str(msgspec.to_builtins(value))
