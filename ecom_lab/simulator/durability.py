"""A disk under the memory store: what a crash leaves, and what a power cut leaves."""

from ecom.runtime.tables import MACHINERY, Inbox
from ecom.stores.base import R
from ecom.stores.memory import MemoryStore
from ecom.stores.query import Key

Tables = dict  # row type → key → row; never changed in place


class Disk(MemoryStore):
    """Syncs at every commit, as SQLite does under `synchronous=FULL`."""

    def __init__(self, tables: Tables, synced: Tables) -> None:
        super().__init__()
        self.restore(tables)
        self.synced = synced

    def commit(self) -> None:
        super().commit()
        self.synced = self.snapshot()


class StaleDisk(Disk):
    """Lets go of its lock after reading: domain rows are as they were `before`, until a commit.

    Numbers of rows come from a sequence, as a database would have it: only the service's own
    tables are read too early.
    """

    def __init__(self, tables: Tables, synced: Tables, before: Tables) -> None:
        super().__init__(tables, synced)
        self._early = before

    def fetch(self, kind: type[R], key: Key) -> R | None:
        if kind in MACHINERY:
            return super().fetch(kind, key)
        return self._early.get(kind, {}).get(key)

    def commit(self) -> None:
        super().commit()
        self._early = self.snapshot()


class ForgetfulDisk(Disk):
    """Time flies: what is done is out of the inbox's retention once it is committed."""

    def commit(self) -> None:
        rows = self._tables.get(Inbox, {})
        self._tables[Inbox] = {key: row for key, row in rows.items() if row.state != "done"}
        super().commit()


class LazyDisk(Disk):
    """`synchronous=NORMAL`: a commit is safe from a power cut only when the next one is made."""

    def commit(self) -> None:
        before = self._before
        super().commit()
        self.synced = before
