"""A store in memory: what the simulator runs on. Same contract as SQLite's, no durability."""

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from ecom.stores.base import Hold, R, Row, Store, StoreUnavailable, Where
from ecom.stores.query import Key, in_order, key_of, matches

Rows = dict[type[Row], dict[Key, Any]]  # by kind, then by key: rows of that kind


class MemoryStore(Store):
    """Rows in dictionaries; `snapshot` and `restore` simulate a crash or a power cut."""

    def __init__(self) -> None:
        self._tables: Rows = {}
        self._before: Rows | None = None

    def begin(self) -> None:
        if self._before is not None:
            raise StoreUnavailable("another transaction is open")
        self._before = self.snapshot()

    def fetch(self, kind: type[R], key: Key) -> R | None:
        return self._tables.get(kind, {}).get(key)

    def fetch_many(self, kind: type[R], keys: list[Key]) -> list[R]:
        rows = self._tables.get(kind, {})
        return [rows[key] for key in keys if key in rows]

    def select(self, kind: type[R], want: Where, limit: int | None, hold: Hold = "look") -> list[R]:
        rows = self._tables.get(kind, {}).values()
        return in_order((row for row in rows if matches(row, want)), want)[:limit]

    def write(self, kind: type[R], puts: Iterable[R], deletes: Iterable[Key]) -> None:
        # A new dictionary, so that snapshots stay what they were.
        rows = self._tables.get(kind, {}) | {key_of(row): row for row in puts}
        for key in deletes:
            rows.pop(key, None)
        self._tables[kind] = rows

    def change(self, kind: type[R], rows: list[R], columns: list[str]) -> None:
        values = {name: getattr(rows[0], name) for name in columns}
        found = self.fetch_many(kind, [key_of(row) for row in rows])
        self.write(kind, [replace(row, **values) for row in found], [])

    def commit(self) -> None:
        self._before = None

    def rollback(self) -> None:
        if self._before is not None:
            self.restore(self._before)

    def snapshot(self) -> Rows:
        """All rows as they stand; never changed afterwards, so it may be kept and shared."""
        return dict(self._tables)

    def restore(self, snapshot: Rows) -> None:
        """Make the store what it was when `snapshot` was taken; ends any open transaction."""
        self._tables = dict(snapshot)
        self._before = None
