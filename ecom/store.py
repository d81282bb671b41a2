"""A service's own database: rows, tables, and one transaction around a batch of messages.

A *store* keeps rows. There are two, held to one contract suite: `ecom.sqlite.SqliteStore` for
real, `ecom.memory.MemoryStore` for the simulator. A store only has to `fetch` one row, `select`
some and `write` a batch; everything else (tables, read-your-own-writes, undoing one message of
many) is `Transaction`, the same code over both.
"""

from collections.abc import Iterable
from typing import Any, ClassVar, Protocol, TypeVar

from msgspec import Struct

R = TypeVar("R", bound="Row")
Key = str | int


class Row(Struct, frozen=True):
    """One row of one table. The first field is its key; fields are its columns.

    Columns of type str, int, float and bytes (or None) are stored as such, all others as JSON.
    """

    table: ClassVar[str]
    indexes: ClassVar[tuple[str, ...]] = ()  # SQL after "CREATE INDEX … ON table", constants


class StoreUnavailable(Exception):
    """The database is locked, full or broken just now: nothing was changed, try again later."""


class AtMost(Struct, frozen=True):
    """`where(due=AtMost(now))`: the column has a value, and it is at most this."""

    bound: Any


class MoreThan(Struct, frozen=True):
    """`where(seq=MoreThan(7))`: the column has a value, and it is more than this."""

    bound: Any


Bound = AtMost | MoreThan


def matches(row: Row, conditions: dict[str, Any]) -> bool:
    """Whether `row` meets every condition: what a store's `select` promises, in plain Python."""
    for column, wanted in conditions.items():
        value = getattr(row, column)
        if isinstance(wanted, AtMost):
            if value is None or value > wanted.bound:
                return False
        elif isinstance(wanted, MoreThan):
            if value is None or value <= wanted.bound:
                return False
        elif value != wanted:
            return False
    return True


def in_order(rows: Iterable[R], conditions: dict[str, Any]) -> list[R]:
    """Rows as `select` sorts them: by the bounded columns, if any, then by key."""
    bounded = [name for name, wanted in conditions.items() if isinstance(wanted, Bound)]
    return sorted(rows, key=lambda row: (*(getattr(row, name) for name in bounded), key_of(row)))


def key_of(row: Row) -> Key:
    """The value of a row's first field."""
    return getattr(row, row.__struct_fields__[0])


class Store(Protocol):
    """Where rows are kept. `begin` … `commit` is atomic, durable and excludes other writers."""

    def begin(self) -> None:
        """Take the write lock. Raises `StoreUnavailable`."""

    def fetch(self, kind: type[R], key: Key) -> R | None:
        """The row with this key, or None."""

    def fetch_many(self, kind: type[R], keys: list[Key]) -> list[R]:
        """The rows with these keys, those that exist, in any order."""

    def select(self, kind: type[R], conditions: dict[str, Any], limit: int | None) -> list[R]:
        """The first `limit` rows that meet all conditions, sorted as by `in_order`.

        By the bounded columns first, so that an index on them finds the few that are due without
        a look at the many that are not.
        """

    def write(self, kind: type[R], puts: Iterable[R], deletes: Iterable[Key]) -> None:
        """Insert or replace rows, delete keys (those that exist)."""

    def commit(self) -> None:
        """Make everything since `begin` durable. Raises `StoreUnavailable`: then nothing is."""

    def rollback(self) -> None:
        """Forget everything since `begin`."""


_UNREAD: Any = object()


class Table:
    """One table within one transaction: reads see the transaction's own writes."""

    def __init__(self, store: Store, kind: type[R], undo: list) -> None:
        self._store = store
        self._kind = kind
        self._undo = undo
        self._rows: dict[Key, R | None] = {}  # everything read or written so far
        self._changed: dict[Key, None] = {}  # keys to write, in the order of the first change

    def get(self, key: Key) -> R | None:
        """The row with this key, or None."""
        row = self._rows.get(key, _UNREAD)
        if row is _UNREAD:
            row = self._rows[key] = self._store.fetch(self._kind, key)
        return row

    def load(self, keys: Iterable[Key]) -> None:
        """Read these rows at once, so that getting each later costs no query of its own."""
        keys = [key for key in keys if key not in self._rows]
        self._rows.update(dict.fromkeys(keys))
        for row in self._store.fetch_many(self._kind, keys):
            self._rows[key_of(row)] = row

    def put(self, row: R) -> None:
        """Insert the row, or replace the one with its key."""
        self._set(key_of(row), row)

    def delete(self, key: Key) -> None:
        """Delete the row with this key, if there is one."""
        self._set(key, None)

    def where(self, limit: int | None = None, **conditions: Any) -> list[R]:
        """The rows whose columns equal (or are `AtMost`, `MoreThan`) the values, `in_order`."""
        room = None if limit is None else limit + len(self._changed)
        found = {key_of(row): row for row in self._store.select(self._kind, conditions, room)}
        for key in self._changed:
            row = self._rows[key]
            if row is not None and matches(row, conditions):
                found[key] = row
            else:
                found.pop(key, None)
        return in_order(found.values(), conditions)[:limit]

    def flush(self) -> None:
        """Hand the changes to the store, inside its transaction."""
        puts, deletes = [], []
        for key in self._changed:
            row = self._rows[key]
            deletes.append(key) if row is None else puts.append(row)
        if puts or deletes:
            self._store.write(self._kind, puts, deletes)

    def _set(self, key: Key, row: R | None) -> None:
        self._undo.append((self, key, self._rows.get(key, _UNREAD), key in self._changed))
        self._rows[key] = row
        self._changed[key] = None

    def _restore(self, key: Key, row: R | None, changed: bool) -> None:
        if row is _UNREAD:
            del self._rows[key]
        else:
            self._rows[key] = row
        if not changed:
            del self._changed[key]


class Transaction:
    """One transaction: begun when made; nothing is written before `commit`."""

    def __init__(self, store: Store) -> None:
        store.begin()
        self._store = store
        self._tables: dict[type[Row], Table] = {}
        self._undo: list = []

    def __getitem__(self, kind: type[R]) -> Table:
        """The table of rows of this kind."""
        table = self._tables.get(kind)
        if table is None:
            table = self._tables[kind] = Table(self._store, kind, self._undo)
        return table

    def savepoint(self) -> int:
        """A mark that `undo_to` can return to: how one message of a batch is rolled back."""
        return len(self._undo)

    def undo_to(self, mark: int) -> None:
        """Undo every change made since the mark, the newest first."""
        while len(self._undo) > mark:
            table, key, row, changed = self._undo.pop()
            table._restore(key, row, changed)

    def commit(self) -> None:
        """Write all changes durably. Raises `StoreUnavailable`, and then none are."""
        try:
            for table in self._tables.values():
                table.flush()
            self._store.commit()
        except BaseException:
            self._store.rollback()
            raise

    def rollback(self) -> None:
        """Forget all changes."""
        self._store.rollback()
