"""A disk under the memory store: what a crash leaves, and what a power cut leaves."""

from collections.abc import Iterable

from ecom.runtime.tables import MACHINERY, Inbox
from ecom.stores.base import Hold, R, Row, StoreUnavailable, Where
from ecom.stores.memory import MemoryStore
from ecom.stores.query import Key, in_order, key_of, matches

Tables = dict  # row type → key → row; never changed in place


class Disk(MemoryStore):
    """Syncs at every commit, as SQLite does under `synchronous=FULL`.

    Of a transaction that began before others were committed, `before` has the tables as they were,
    and `drawn` the greatest number that others had drawn.
    """

    excludes = True  # other writers, from a transaction's beginning on
    believes: bool | None = False  # whether a commit without an answer is made; None: it is asked

    def __init__(
        self, tables: Tables, synced: Tables, before: Tables | None = None, drawn: int = 0
    ) -> None:
        super().__init__()
        self.restore(tables)
        self.synced = synced
        self._early, self._drawn = tables if before is None else before, drawn

    def commit(self) -> None:
        super().commit()
        self.synced = self._early = self.snapshot()

    def rollback(self) -> None:
        super().rollback()
        self._early = self.snapshot()


class StaleDisk(Disk):
    """Lets go of its lock after reading: domain rows are as they were `before`, until a commit."""

    excludes = False

    def fetch(self, kind: type[R], key: Key) -> R | None:
        if kind in MACHINERY:
            return super().fetch(kind, key)
        return self._early.get(kind, {}).get(key)


class SharedDisk(Disk):
    """PostgreSQL, as `ecom.stores.postgres` uses it: READ COMMITTED, with locks of rows.

    What is found by key is locked, and so is as it is when we commit. All else is as it was when we
    began: what is looked at, what is not found (to insert it is a conflict, if another has), what
    others have in hand. Numbers come from a sequence: drawn early, and perhaps committed late. Of a
    commit without an answer, the database is asked.
    """

    is_shared, excludes, believes = True, False, None

    def fetch(self, kind: type[R], key: Key) -> R | None:
        return super().fetch(kind, key) if key in self._early.get(kind, ()) else None

    def fetch_many(self, kind: type[R], keys: list[Key]) -> list[R]:
        return [row for key in keys if (row := self.fetch(kind, key)) is not None]

    def select(self, kind: type[R], want: Where, limit: int | None, hold: Hold = "look") -> list[R]:
        early, now = self._early.get(kind, {}), self._tables.get(kind, {})
        rows = [row for row in early.values() if matches(row, want)]
        if hold == "take":  # what another has in hand is passed over
            rows = [row for row in rows if now.get(key_of(row)) is row]
        elif hold == "keep":  # it is waited for, and looked at again
            found = [now[key] for key in map(key_of, rows) if key in now]
            rows = [row for row in found if matches(row, want)]
        return in_order(rows, want)[:limit]

    def write(self, kind: type[R], puts: Iterable[R], deletes: Iterable[Key]) -> None:
        puts, early, now = [*puts], self._early.get(kind, {}), self._tables.get(kind, {})
        if any(key in now and key not in early for key in map(key_of, puts)):
            raise StoreUnavailable("another has inserted this row meanwhile")
        super().write(kind, puts, deletes)

    def number(self, kind: type[Row]) -> int | None:
        if kind not in MACHINERY:
            return None
        self._drawn = max(self._drawn, last_number(self._early)) + 1
        return self._drawn


def last_number(tables: Tables) -> int:
    """The greatest number of the machinery's rows."""
    numbered = (tables.get(kind, ()) for kind in MACHINERY if kind.numbers)
    return max((key for keys in numbered for key in keys), default=0)


# ── without a safeguard ───────────────────────────────────────────────────────────────────────
class UnlockedRows(SharedDisk):
    """Rows are read without a lock, so another changes them meanwhile."""

    def fetch(self, kind: type[R], key: Key) -> R | None:
        return self._early.get(kind, {}).get(key)


class Overwriting(SharedDisk):
    """What another has inserted meanwhile is overwritten."""

    def write(self, kind: type[R], puts: Iterable[R], deletes: Iterable[Key]) -> None:
        MemoryStore.write(self, kind, puts, deletes)


class Pessimist(SharedDisk):
    """A commit whose answer is lost counts as failed."""

    believes = False


class Optimist(SharedDisk):
    """A commit whose answer is lost counts as done."""

    believes = True


class ForgetfulDisk(Disk):
    """What was handled is forgotten at once."""

    # As if time flew: it is out of the inbox's retention once it is committed.

    def commit(self) -> None:
        rows = self._tables.get(Inbox, {})
        self._tables[Inbox] = {key: row for key, row in rows.items() if row.state != "done"}
        super().commit()


class LazyDisk(Disk):
    """The database runs with synchronous=NORMAL."""

    # A commit is safe from a power cut only when the next one is made.

    def commit(self) -> None:
        before = self._before
        super().commit()
        self.synced = before
