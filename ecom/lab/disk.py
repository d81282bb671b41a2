"""A disk under the memory store: what a crash leaves, and what a power cut leaves."""

from ecom.memory import MemoryStore

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
