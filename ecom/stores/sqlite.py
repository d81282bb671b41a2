"""A store in SQLite: the database of a real service. The only room that knows SQL's dialect.

WAL with `synchronous=FULL`: a commit survives a power cut. sqlite-utils makes the schema; the hot
path is plain SQL, whose text is made once from column names in the code, never from data.
"""

import sqlite3
from collections.abc import Iterable
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, get_args

import msgspec
from msgspec.structs import astuple, fields

from ecom.stores.base import R, Row, StoreBroken, StoreUnavailable
from ecom.stores.query import AtMost, Bound, Key, MoreThan, key_of

SOME = 16  # rows in one statement, where there are as many: to run one costs as much as a row
BUSY_SECONDS = 5.0  # how long a writer waits for another process's transaction

# What may be otherwise a moment later; anything else is not mended by waiting.
_PASSING = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
}

_PLAIN = {str: str, int: int, float: float, bytes: bytes}


class Columns:
    """How rows of one kind become tuples for SQL, and back."""

    def __init__(self, kind: type[Row]) -> None:
        self.kind = kind
        self.names = kind.__struct_fields__
        types = {field.name: _plain_type(field.type) for field in fields(kind)}
        self.sql_types = {name: type_ or str for name, type_ in types.items()}
        self._json = [
            (i, msgspec.json.Decoder(field.type).decode)
            for i, field in enumerate(fields(kind))
            if types[field.name] is None
        ]
        columns = ", ".join(self.names)
        self.key = self.names[0]
        self.select = f"SELECT {columns} FROM {kind.table}"
        self.fetch = f"{self.select} WHERE {self.key} = ?"
        self.fetch_many = f"{self.select} WHERE {self.key} IN (SELECT value FROM json_each(?))"
        # Most rows end in columns that are empty: to bind those costs a quarter of a row.
        self.filled = max(i for i, it in enumerate(fields(kind), 1) if it.default is not None)
        self.delete = f"DELETE FROM {kind.table} WHERE {self.key} = ?"

    def check(self, names: Iterable[str]) -> None:
        """Raises `KeyError` for what is no column."""
        if unknown := set(names) - set(self.names):
            raise KeyError(f"{self.kind.table} has no column {', '.join(sorted(unknown))}")

    def to_sql(self, row: Row) -> tuple:
        values = astuple(row)
        if not self._json:
            return values
        values = list(values)
        for i, _ in self._json:
            if values[i] is not None:
                values[i] = msgspec.json.encode(values[i]).decode()
        return tuple(values)

    def to_row(self, values: tuple) -> Row:
        if self._json:
            values = list(values)
            for i, decode in self._json:
                if values[i] is not None:
                    values[i] = decode(values[i])
        return self.kind(*values)


def _plain_type(type_: Any) -> type | None:
    """str, int, float or bytes for a column stored as such (None allowed), else None: JSON."""
    options = [option for option in get_args(type_) if option is not type(None)] or [type_]
    return _PLAIN.get(options[0]) if len(options) == 1 else None


columns_of = cache(Columns)


@cache
def _where(kind: type[Row], shape: tuple[tuple[str, str], ...]) -> str:
    columns = columns_of(kind)
    columns.check(column for column, _ in shape)
    tests = " AND ".join(f"{column} {operator}" for column, operator in shape) or "1"
    bounded = [column for column, operator in shape if operator in _BOUNDS.values()]
    order = ", ".join(dict.fromkeys((*bounded, columns.key)))
    return f"{columns.select} WHERE {tests} ORDER BY {order} LIMIT ?"


@cache
def _put(kind: type[Row], width: int, rows: int) -> str:
    """Insert or replace so many rows; the columns after the first `width` are empty."""
    columns = columns_of(kind)
    marks = f"({', '.join('?' * width)})"
    return (f"INSERT OR REPLACE INTO {kind.table} ({', '.join(columns.names[:width])}) "
            f"VALUES {', '.join([marks] * rows)}")  # fmt: skip


@cache
def _change(kind: type[Row], changed: tuple[str, ...]) -> str:
    columns = columns_of(kind)
    columns.check(changed)
    values = ", ".join(f"{column} = ?" for column in changed)
    return (f"UPDATE {kind.table} SET {values} "
            f"WHERE {columns.key} IN (SELECT value FROM json_each(?))")  # fmt: skip


_BOUNDS = {AtMost: "<= ?", MoreThan: "> ?"}


def _operator(wanted: Any) -> str:
    if wanted is None:
        return "IS NULL"
    return _BOUNDS.get(type(wanted), "= ?")


class SqliteStore:
    """One service's database file; the tables must exist (see `create`)."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        self._db.execute("PRAGMA synchronous = FULL")

    def begin(self) -> None:
        # IMMEDIATE: a deferred transaction that reads first cannot always upgrade to writing.
        self._run("BEGIN IMMEDIATE")

    def fetch(self, kind: type[R], key: Key) -> R | None:
        columns = columns_of(kind)
        values = self._run(columns.fetch, (key,)).fetchone()
        return columns.to_row(values) if values else None

    def fetch_many(self, kind: type[R], keys: list[Key]) -> list[R]:
        columns = columns_of(kind)
        found = self._run(columns.fetch_many, (msgspec.json.encode(keys).decode(),))
        return [columns.to_row(row) for row in found]

    def select(self, kind: type[R], conditions: dict[str, Any], limit: int | None) -> list[R]:
        shape = tuple((column, _operator(wanted)) for column, wanted in conditions.items())
        values = [
            wanted.bound if isinstance(wanted, Bound) else wanted
            for wanted in conditions.values()
            if wanted is not None
        ]
        found = self._run(_where(kind, shape), (*values, -1 if limit is None else limit))
        return [columns_of(kind).to_row(row) for row in found]

    def write(self, kind: type[R], puts: Iterable[R], deletes: Iterable[Key]) -> None:
        columns = columns_of(kind)
        filled, empty = columns.filled, (None,) * (len(columns.names) - columns.filled)
        whole, short = [], []
        for row in puts:
            values = columns.to_sql(row)
            if values[filled:] == empty:
                short.append(values[:filled])
            else:
                whole.append(values)
        for width, rows in (len(columns.names), whole), (filled, short):
            last = len(rows) - len(rows) % SOME
            for first in range(0, last, SOME):
                some = chain.from_iterable(rows[first : first + SOME])
                self._run(_put(kind, width, SOME), tuple(some))
            self._run_many(_put(kind, width, 1), rows[last:])
        self._run_many(columns.delete, [(key,) for key in deletes])

    def change(self, kind: type[R], rows: list[R], columns: list[str]) -> None:
        sql = _change(kind, tuple(columns))
        values = dict(zip(kind.__struct_fields__, columns_of(kind).to_sql(rows[0]), strict=True))
        keys = msgspec.json.encode([key_of(row) for row in rows]).decode()
        self._run(sql, (*(values[name] for name in columns), keys))

    def commit(self) -> None:
        self._run("COMMIT")

    def rollback(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def close(self) -> None:
        """Close the connection; an open transaction is rolled back."""
        self._db.close()

    def _run(self, sql: str, values: tuple = ()) -> sqlite3.Cursor:
        try:
            return self._db.execute(sql, values)
        except sqlite3.DatabaseError as error:
            raise _meaning(error) from error

    def _run_many(self, sql: str, values: list[tuple]) -> None:
        try:
            self._db.executemany(sql, values)
        except sqlite3.DatabaseError as error:
            raise _meaning(error) from error


def _meaning(error: sqlite3.DatabaseError) -> Exception:
    """Whether to wait is of use; SQLite's primary error codes tell."""
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in _PASSING:
        return StoreUnavailable(str(error))
    return StoreBroken(
        f"A database cannot be used ({error}): it is damaged, or of another version of this "
        "package. Use that version, or move the file away to begin anew."
    )


def create(path: Path, kinds: Iterable[type[Row]]) -> None:
    """Create the database and the tables it lacks. Harmless to repeat, also concurrently."""
    import sqlite_utils  # here, not above: it is slow to import, and a service needs it once

    db = sqlite_utils.Database(path)
    db.enable_wal()
    for kind in kinds:
        columns = columns_of(kind)
        db[kind.table].create(columns.sql_types, pk=columns.key, if_not_exists=True)
        for i, index in enumerate(kind.indexes):
            name = f"{kind.table}_{i}"
            db.conn.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {kind.table} {index}")
    db.close()
