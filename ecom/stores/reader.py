"""Reading the databases of a saga from outside: read-only, without blocking a writer.

A reader reads a folder of databases, each of which it opens when it is first used. Tables and
columns are named by `Row` classes, from which the statements are made.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ecom.errors import ShopError
from ecom.stores import sql
from ecom.stores.base import Counter, R, Row
from ecom.stores.migrations import SchemaVersion, check_readable
from ecom.stores.sqlite import SqliteStore

PATIENCE = 10.0  # seconds to wait for a database that is being restored after a crash


class Database(SqliteStore):
    """One database. Conditions are those of `Table.where`."""

    def __init__(self, folder: Path, name: str, patience: float = PATIENCE) -> None:
        path = (folder / f"{name}.db").absolute()
        try:
            self._db = sqlite3.connect(
                f"{path.as_uri()}?mode=ro", uri=True, timeout=patience, isolation_level=None
            )
        except sqlite3.OperationalError as error:
            raise ShopError(f"There is no database {path}.") from error
        if SchemaVersion.table in self.tables():
            check_readable(self.fetch(SchemaVersion, "machinery"), str(path))

    @contextmanager
    def moment(self) -> Iterator[None]:
        """What is read within is all of one moment."""
        self._run("BEGIN")
        try:
            yield
        finally:
            self.rollback()

    def rows(self, kind: type[R], **conditions: Any) -> list[R]:
        """The rows that meet all conditions, in the order of `Table.where`."""
        return self.select(kind, conditions, None)

    def values(self, kind: type[Row], *columns: str, **conditions: Any) -> list[tuple[Any, ...]]:
        """Columns of the rows that meet all conditions, as they are stored, in any order."""
        return self._ask(kind, "{0}", columns, conditions)

    def count(self, kind: type[Row], **conditions: Any) -> int:
        """How many rows meet all conditions."""
        return self._ask(kind, "count(*)", (), conditions)[0][0]

    def least(self, kind: type[Row], column: str, **conditions: Any) -> Any:
        """The least value of a column where rows meet all conditions; None if none does."""
        return self._ask(kind, "min({0})", (column,), conditions)[0][0]

    def _ask(
        self, kind: type[Row], what: str, columns: tuple[str, ...], which: dict
    ) -> list[tuple]:
        statement = sql.select(kind, what, columns, sql.shape_of(which))
        return self._run(statement, tuple(sql.values_of(which))).fetchall()

    def tally(self, kind: type[Row], column: str) -> dict[Any, int]:
        """How many rows there are of each value of a column."""
        return dict(self._run(sql.tally(kind, column)).fetchall())

    def counters(self) -> dict[str, int]:
        """All counters by name."""
        return dict(self.values(Counter, "name", "value"))

    def tables(self) -> list[str]:
        """The names of all tables."""
        names = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
        return [row[0] for row in self._run(names)]

    def table(self, name: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """A table of `tables`, as it is: its columns, and its rows by their key."""
        about = self._run("SELECT name, pk FROM pragma_table_info(?)", (name,)).fetchall()
        by = ", ".join(f'"{column}"' for column, key in about if key) or "rowid"
        found = self._run(f'SELECT * FROM "{name}" ORDER BY {by}').fetchall()
        return [column for column, _ in about], found


class Reader(dict[str, Database]):
    """The databases in `folder`, by name; to be closed, or used by `with`.

    Raises `ShopError` for a database that there is not, or that this release cannot read.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def __missing__(self, name: str) -> Database:
        database = self[name] = Database(self._folder, name)
        return database

    def close(self) -> None:
        """Close what was opened."""
        while self:
            self.popitem()[1].close()

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
