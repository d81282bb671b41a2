"""A service's own database: rows, tables, and one transaction around a batch of messages.

A *store* keeps rows: `ecom.stores.sqlite` or `postgres` in production, `memory` in the simulator,
tested by one contract suite. It has to `fetch` one row, `select` some, `write` a batch and `change`
one; all else (tables, read-your-own-writes, undoing one message of many) is `Transaction`.
"""

from collections.abc import Iterable
from operator import attrgetter
from typing import Any, ClassVar, Generic, Literal, NamedTuple, Protocol, TypeVar

from msgspec import DecodeError, Struct
from msgspec.structs import replace

from ecom.errors import ShopError
from ecom.stores.query import Key, in_order, matches

R = TypeVar("R", bound="Row")
# What others may do to rows that are read, until we commit: nothing, and we wait for what they are
# about to do; nothing, and we are not given what they have in hand; whatever they want.
Hold = Literal["keep", "take", "look"]
Where = dict[str, Any]  # column → its value, or a bound
Undo = tuple[dict[Any, Any], Any, Any]  # where something stood, and what


class Index(NamedTuple):
    """What finds rows fast by `columns`; of those rows only in which a column has a value, or none:
    the commonest queries should cost nothing for rows that are done."""

    columns: tuple[str, ...]
    filled: str | None = None
    empty: str | None = None


class Row(Struct, frozen=True):
    """One row of one table. The first field is its key; fields are its columns. Columns of type
    str, int, float and bytes (or None) are stored as such, all others as JSON. A release may add
    columns that have a default, and indexes: databases that lack them are given them. Whatever else
    changes is a step of `ecom.stores.migrations`."""

    table: ClassVar[str]
    numbers: ClassVar[str] = ""  # the counter that numbers them, if they are numbered
    indexes: ClassVar[tuple[Index, ...]] = ()


class StoreUnavailable(ShopError):
    """The database is locked, full or broken just now: nothing was changed, try again later."""


class StoreBroken(ShopError):
    """The database is damaged, or of another release: to try again would not help. It may hold
    orders, so the text never suggests moving or deleting it."""


class Store(Protocol):
    """Where rows are kept. `begin` … `commit` is atomic and durable, and excludes other writers:
    all, or those who would change what it has read by key, or insert what it has not found. Then
    each of these methods may raise `StoreUnavailable`."""

    is_shared: bool = False  # whether several may write at once: no two should need the same row

    def begin(self) -> None:
        """Begin a transaction. Raises `StoreUnavailable`."""

    def fetch(self, kind: type[R], key: Key) -> R | None:
        """The row with this key, or None. It stays as it is until we commit."""

    def fetch_many(self, kind: type[R], keys: list[Key]) -> list[R]:
        """The rows with these keys, those that exist, in any order."""

    def select(self, kind: type[R], want: Where, limit: int | None, hold: Hold = "look") -> list[R]:
        """The first `limit` rows that are as wanted, sorted as by `in_order`: by bounded columns
        first, so that an index on them finds the few that are due."""

    def write(self, kind: type[R], puts: Iterable[R], deletes: Iterable[Key]) -> None:
        """Insert rows, or change those with their keys; delete keys (those that exist). What
        another release has added to a row stays as it is."""

    def change(self, kind: type[R], rows: list[R], columns: list[str]) -> None:
        """Write these columns, equal in all these rows, where the rows exist; others stay."""

    def number(self, kind: type[Row]) -> int | None:
        """The next number of rows of this kind, if the store gives them; None: they are counted."""
        return None

    def commit(self) -> None:
        """Make everything since `begin` durable. Raises `StoreUnavailable`: then nothing is."""

    def rollback(self) -> None:
        """Forget everything since `begin`."""


class Counter(Row, frozen=True):
    """How often something has happened; counted by `Transaction.count`."""

    table = "counters"

    name: str
    value: int


_MISSING: Any = object()


class Table(Generic[R]):
    """One table within one transaction: reads see the transaction's own writes."""

    def __init__(self, store: Store, kind: type[R], undo: list[Undo]) -> None:
        self._store = store
        self._kind = kind
        self._key = attrgetter(kind.__struct_fields__[0])
        self._undo = undo
        self._read: dict[Key, R | None] = {}
        self.changes: dict[Key, R | None] = {}  # what was written; None: to be deleted
        self._changed: dict[Key, tuple[R, dict[str, Any]]] = {}  # what was written by `change`

    def get(self, key: Key) -> R | None:
        """The row with this key, or None."""
        if key in self.changes:
            return self.changes[key]
        if key not in self._read:
            self._read[key] = self._store.fetch(self._kind, key)
        return self._read[key]

    def __getitem__(self, key: Key) -> R:
        """The row with this key. Raises `LookupError` if there is none."""
        if (row := self.get(key)) is None:
            raise LookupError(f"there is no {self._kind.__name__} {key}")
        return row

    def load(self, keys: Iterable[Key]) -> None:
        """Read these rows at once, so that getting each later costs no query of its own."""
        keys = [key for key in keys if key not in self._read]
        try:
            found = self._store.fetch_many(self._kind, keys)
        except DecodeError:
            return  # `get` raises for the row that cannot be read, and for no other
        self._read |= dict.fromkeys(keys) | {self._key(row): row for row in found}

    def put(self, row: R) -> None:
        """Insert the row, or replace the one with its key."""
        self._write(self._key(row), row)

    def change(self, row: R, **columns: Any) -> None:
        """Put a row that is stored with these columns changed: the others need not be written."""
        key, changed = self._key(row), replace(row, **columns)
        if key not in self.changes:
            self._changed[key] = changed, columns
        self._write(key, changed)

    def delete(self, key: Key) -> None:
        """Delete the row with this key, if there is one."""
        self._write(key, None)

    def _write(self, key: Key, row: R | None) -> None:
        self._undo.append((self.changes, key, self.changes.get(key, _MISSING)))
        self.changes[key] = row

    def where(self, limit: int | None = None, **conditions: Any) -> list[R]:
        """The rows whose columns equal (or are `AtMost`, `MoreThan`) the values, `in_order`."""
        return self._where(limit, conditions, "keep")

    def take(self, limit: int | None = None, **conditions: Any) -> list[R]:
        """The same of work that whoever comes first may do: without what others have in hand."""
        return self._where(limit, conditions, "take")

    def look(self, limit: int | None = None, **conditions: Any) -> list[R]:
        """The same for whoever changes none of them: others may, before we commit."""
        return self._where(limit, conditions, "look")

    def _where(self, limit: int | None, conditions: Where, hold: Hold) -> list[R]:
        key_of, written = self._key, self.changes
        found = self._store.select(self._kind, conditions, limit, hold)
        fresh = [row for row in found if key_of(row) not in written]
        if len(fresh) < len(found) == limit:  # in place of the stale ones, others come into sight
            found = self._store.select(self._kind, conditions, limit + len(written), hold)
            fresh = [row for row in found if key_of(row) not in written]
        ours = [row for row in self.written() if matches(row, conditions)]
        return (in_order(fresh + ours, conditions) if ours else fresh)[:limit]

    def written(self) -> list[R]:
        """The rows that this transaction has put, in the order in which it put them first."""
        return [row for row in self.changes.values() if row is not None]

    def flush(self) -> None:
        """Hand the changes to the store, inside its transaction."""
        puts: list[R] = []
        deletes: list[Key] = []
        changes: dict[tuple[tuple[str, Any], ...], list[R]] = {}
        for key, row in self.changes.items():
            changed = self._changed.get(key)
            if row is None:
                deletes.append(key)
            elif changed is not None and row is changed[0]:
                changes.setdefault(tuple(changed[1].items()), []).append(row)
            else:
                puts.append(row)
        if puts or deletes:
            self._store.write(self._kind, puts, deletes)
        for same, rows in changes.items():
            self._store.change(self._kind, rows, [name for name, _ in same])


class Transaction:
    """One transaction: begun when made; nothing is written before `commit`."""

    def __init__(self, store: Store) -> None:
        store.begin()
        self._store = store
        self._tables: dict[type[Row], Table[Any]] = {}
        self._counts: dict[str, int] = {}
        self._undo: list[Undo] = []  # what stood where before a change

    def __getitem__(self, kind: type[R]) -> Table[R]:
        """The table of rows of this kind."""
        if kind not in self._tables:
            self._tables[kind] = Table(self._store, kind, self._undo)
        return self._tables[kind]

    def count(self, name: str, by: int = 1) -> int:
        """Add to a counter; its new value. Plain numbers, for there are many: rows at the end."""
        counts = self._counts
        before = counts[name] if name in counts else self.counted(name)
        self._undo.append((counts, name, before))
        counts[name] = after = before + by
        return after

    def counted(self, name: str) -> int:
        """The value of a counter."""
        if name not in self._counts:
            row = self[Counter].get(name)
            self._counts[name] = row.value if row else 0
        return self._counts[name]

    def number(self, kind: type[Row]) -> int:
        """A number for a new row of this kind, greater than all that we had; some are not used."""
        given = self._store.number(kind)
        return self.count(kind.numbers) if given is None else given

    def savepoint(self) -> int:
        """A mark that `undo_to` can return to: how one message of a batch is rolled back."""
        return len(self._undo)

    def undo_to(self, mark: int) -> None:
        """Undo every change made since the mark, the newest first."""
        while len(self._undo) > mark:
            values, key, before = self._undo.pop()
            if before is _MISSING:
                del values[key]
            else:
                values[key] = before

    def commit(self) -> None:
        """Write all changes durably. Raises `StoreUnavailable`, and then none are."""
        try:
            counters = self[Counter]
            for name, value in self._counts.items():
                row = counters.get(name)
                if value != (row.value if row else 0):
                    counters.put(Counter(name, value))
            for table in self._tables.values():
                table.flush()
            self._store.commit()
        except BaseException:
            self._store.rollback()
            raise

    def rollback(self) -> None:
        """Forget all changes."""
        self._store.rollback()
