"""A store in SQLite: the database of a real service, in one file.

WAL with `synchronous=FULL`: a commit survives a power cut.
"""

import fcntl
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import IO, Any

import msgspec

from ecom.settings import made, private
from ecom.stores import sql
from ecom.stores.base import R, Row, Store, StoreBroken, StoreUnavailable
from ecom.stores.migrations import Found, migrate, version_in
from ecom.stores.query import Key, key_of
from ecom.stores.reading import Reading
from ecom.stores.sql import columns_of, taken

SOME = 16  # rows in one statement, at most: to run one costs as much as a row
STATEMENTS = 1_000  # that a connection keeps prepared: for each kind, some of each number of rows
# How long a writer waits for another process's transaction: an event loop waits with it, so that
# a process that finds the database busy for longer does other work, and tries again.
BUSY_SECONDS = 0.05
WAL_BYTES = 2**24  # to which the log is cut once a reader has gone for whom it had to grow
PREPARE_SECONDS = 30.0  # the same while the schema is looked at: others may be busy changing it

# What may be otherwise a moment later; anything else is not mended by waiting.
_PASSING = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}


class SqliteStore(Reading, Store):
    """One service's database file; see `prepare` for its tables. A `replica` has its name for
    itself, by a lock that ends with its process: else `StoreUnavailable`."""

    _name: IO[bytes] | None = None
    _TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"

    def __init__(
        self, path: Path, replica: str | None = None, patience: float = BUSY_SECONDS
    ) -> None:
        if replica is not None:
            self._name = path.with_name(f"{path.stem}-{replica}.lock").open("ab")
            try:
                fcntl.flock(self._name, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._name.close()
                raise taken(replica, path) from None
        self._db = sqlite3.connect(
            path, timeout=patience, isolation_level=None, cached_statements=STATEMENTS
        )
        self._run("PRAGMA synchronous = FULL")  # which looks into the file
        self._run(f"PRAGMA journal_size_limit = {WAL_BYTES}")

    def begin(self) -> None:
        # IMMEDIATE: a deferred transaction that reads first cannot always upgrade to writing.
        self._run("BEGIN IMMEDIATE")

    def fetch_many(self, kind: type[R], keys: list[Key]) -> list[R]:
        columns = columns_of(kind)
        found = self._run(columns.fetch_many, (msgspec.json.encode(keys).decode(),))
        return [columns.to_row(row) for row in found]

    def write(self, kind: type[R], puts: Iterable[R], deletes: Iterable[Key]) -> None:
        columns = columns_of(kind)
        filled, empty = columns.filled, (None,) * (len(columns.names) - columns.filled)
        of_width: defaultdict[int, list[tuple]] = defaultdict(list)
        for values in map(columns.to_sql, puts):
            width = filled if values[filled:] == empty else len(values)
            of_width[width].append(values[:width])
        for width, rows in of_width.items():
            for first in range(0, len(rows), SOME):
                some = rows[first : first + SOME]
                statement = sql.put(kind, width, len(some))
                self._run(statement, tuple(chain.from_iterable(some)))
        if keys := [*deletes]:
            self._run(columns.delete_many, (msgspec.json.encode(keys).decode(),))

    def change(self, kind: type[R], rows: list[R], columns: list[str]) -> None:
        statement = sql.change(kind, tuple(columns), columns_of(kind).among)
        values = dict(zip(kind.__struct_fields__, columns_of(kind).to_sql(rows[0]), strict=True))
        keys = msgspec.json.encode([key_of(row) for row in rows]).decode()
        self._run(statement, (*(values[name] for name in columns), keys))

    def commit(self) -> None:
        self._run("COMMIT")

    def rollback(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def close(self) -> None:
        """Close the connection; an open transaction is rolled back."""
        self._db.close()
        if self._name is not None:
            self._name.close()

    def _run(self, statement: str, values: tuple = ()) -> sqlite3.Cursor:
        try:
            return self._db.execute(statement, values)
        except sqlite3.DatabaseError as error:
            raise meaning(error) from error


def meaning(error: sqlite3.DatabaseError) -> Exception:
    """Whether to wait is of use; SQLite's primary error codes tell."""
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in _PASSING:
        return StoreUnavailable(str(error))
    return StoreBroken(
        f"A database cannot be used ({error}). It may hold what nothing else does, so leave it: "
        "if another release of this package made it, use that one; if it is damaged, repair a copy."
    )


def prepare(path: Path, kinds: Iterable[type[Row]], views: Mapping[str, str] = {}) -> None:
    """Make the database, or bring one of an earlier release up to date; see `migrate`.

    Raises `StoreUnavailable` if others keep it locked for `PREPARE_SECONDS`.
    """
    made(path.parent)
    with suppress(OSError), open(path, "ab", opener=private):
        pass  # SQLite would make it for all to read
    try:
        with closing(sqlite3.connect(path, PREPARE_SECONDS, isolation_level=None)) as db:
            _write_ahead(db)
            db.execute("PRAGMA synchronous = NORMAL")  # what a power cut undoes is done again
            migrate(SqliteSchema(db), kinds, views)
    except sqlite3.DatabaseError as error:
        raise meaning(error) from error


class SqliteSchema(Reading):
    """What there is in a database, and how it is changed."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db, self.execute, self._run = db, db.execute, db.execute
        self.rollback = db.rollback

    def look(self) -> Found:
        made = self.execute(
            "SELECT type, name, sql, CASE type WHEN 'table' THEN "
            "(SELECT json_group_array(name) FROM pragma_table_info(it.name)) END "
            "FROM sqlite_master AS it WHERE sql IS NOT NULL"
        ).fetchall()
        of_type: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        for type_, name, text, columns in made:
            of_type[type_][name] = set(msgspec.json.decode(columns)) if columns else text
        tables = of_type["table"]
        version = version_in(self, tables)
        return Found(tables, set(of_type["index"]), of_type["view"], version, sql.SQLITE)

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self._db:  # commits, or rolls back
            self.execute("BEGIN IMMEDIATE")
            yield


def _write_ahead(db: sqlite3.Connection) -> None:
    """Change to WAL; while another process does so, SQLite fails at once instead of waiting."""
    deadline = time.monotonic() + PREPARE_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if not isinstance(meaning(error), StoreUnavailable) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
