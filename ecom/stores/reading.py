"""What is asked of a database that is only read, whatever keeps it."""

from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, get_args

from ecom.stores import sql
from ecom.stores.base import Counter, Hold, R, Row, Where
from ecom.stores.query import Key
from ecom.stores.sql import columns_of

ALL = 2**62  # rows: as many as there are


class Reading:
    """A database, to be read. Conditions are those of `Table.where`."""

    _run: Callable[..., Any]  # a statement, whose values are marked by `?`
    rollback: Callable[[], None]
    _TABLES: str  # the statement that lists the names of all tables
    _HOLD: ClassVar = dict.fromkeys(get_args(Hold), "")  # how each is said in SQL

    def select(self, kind: type[R], want: Where, limit: int | None, hold: Hold = "look") -> list[R]:
        statement = sql.where(kind, sql.shape_of(want)) + self._HOLD[hold]
        found = self._run(statement, (*sql.values_of(want), ALL if limit is None else limit))
        return [columns_of(kind).to_row(row) for row in found]

    def fetch(self, kind: type[R], key: Key) -> R | None:
        columns = columns_of(kind)
        values = self._run(columns.fetch, (key,)).fetchone()
        return columns.to_row(values) if values else None

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

    @contextmanager
    def moment(self) -> Iterator[None]:
        """What is read within is all of one moment."""
        self._begin_moment()
        try:
            yield
        finally:
            self.rollback()

    def _begin_moment(self) -> None:
        self._run("BEGIN")

    def _ask(self, kind: type[Row], what: str, names: tuple[str, ...], which: Where) -> list[tuple]:
        statement = sql.select(kind, what, names, sql.shape_of(which))
        return self._run(statement, tuple(sql.values_of(which))).fetchall()

    def tally(self, kind: type[Row], column: str) -> dict[Any, int]:
        """How many rows there are of each value of a column."""
        each = sql.select(kind, "{0}, count(*)", (column,), ())
        return dict(self._run(f"{each} GROUP BY {column}").fetchall())

    def counters(self) -> dict[str, int]:
        """All counters by name; some are one replica's (see `ecom.runtime.streams`)."""
        return dict(self.values(Counter, "name", "value"))

    def tables(self) -> list[str]:
        """The names of all tables."""
        return [name for (name,) in self._run(self._TABLES)]

    def table(self, name: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """A table of `tables`, as it is: its columns, and its rows by their key."""
        found = self._run(f'SELECT * FROM "{name}" ORDER BY 1')
        return [column[0] for column in found.description], found.fetchall()


def totals(counters: Mapping[str, int]) -> Tally[str]:
    """What all replicas have counted together: an own one's name ends in @ and the replica."""
    found = Tally[str]()
    for name, value in counters.items():
        found[name.partition("@")[0]] += value
    return found
