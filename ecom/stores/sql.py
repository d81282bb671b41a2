"""SQL text for rows of a kind, made once from the fields of its class and never from data."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, get_args

import msgspec
from msgspec.structs import astuple, fields

from ecom.stores.base import Index, Row, StoreBroken
from ecom.stores.query import AtMost, Bound, MoreThan

_PLAIN = {str: "TEXT", int: "INTEGER", float: "REAL", bytes: "BLOB"}
_BOUNDS = {AtMost: "<= ?", MoreThan: "> ?"}


class Columns:
    """How rows of one kind become tuples for SQL, and back."""

    def __init__(self, kind: type[Row]) -> None:
        self.kind = kind
        self.names = kind.__struct_fields__
        types = {field.name: _plain_type(field.type) for field in fields(kind)}
        self.sql_types = {name: type_ or "TEXT" for name, type_ in types.items()}
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

    def to_sql(self, row: Row) -> tuple[Any, ...]:
        if not self._json:
            return astuple(row)
        values = list(astuple(row))
        for i, _ in self._json:
            if values[i] is not None:
                values[i] = msgspec.json.encode(values[i]).decode()
        return tuple(values)

    def to_row(self, values: Sequence[Any]) -> Any:
        if self._json:
            values = list(values)
            for i, decode in self._json:
                if values[i] is not None:
                    values[i] = decode(values[i])
        return self.kind(*values)


def _plain_type(type_: Any) -> str | None:
    """How a column of str, int, float or bytes (None allowed) is stored; None: as JSON."""
    options = [option for option in get_args(type_) if option is not type(None)] or [type_]
    return _PLAIN.get(options[0]) if len(options) == 1 else None


columns_of = cache(Columns)


# ── Reading and writing ───────────────────────────────────────────────────────────────────────
Shape = tuple[tuple[str, str], ...]  # (column, operator) of each condition


def shape_of(conditions: dict[str, Any]) -> Shape:
    """What of conditions makes the text of a statement."""
    return tuple((column, _operator(wanted)) for column, wanted in conditions.items())


def values_of(conditions: dict[str, Any]) -> list[Any]:
    """What of conditions is handed over beside it."""
    return [
        wanted.bound if isinstance(wanted, Bound) else wanted
        for wanted in conditions.values()
        if wanted is not None
    ]


def _operator(wanted: Any) -> str:
    if wanted is None:
        return "IS NULL"
    return _BOUNDS.get(type(wanted), "= ?")


@cache
def where(kind: type[Row], shape: Shape) -> str:
    """The rows that meet the conditions, as `in_order` sorts them; the last value is the limit."""
    columns = columns_of(kind)
    bounded = [column for column, operator in shape if operator in _BOUNDS.values()]
    order = ", ".join(dict.fromkeys((*bounded, columns.key)))
    return f"{columns.select} WHERE {_tests(kind, shape)} ORDER BY {order} LIMIT ?"


@cache
def values(kind: type[Row], names: tuple[str, ...], shape: Shape) -> str:
    """Columns of all rows that meet the conditions, in no particular order."""
    return f"SELECT {_columns(kind, names)} FROM {kind.table} WHERE {_tests(kind, shape)}"


@cache
def count(kind: type[Row], by: tuple[str, ...], more_than: int, shape: Shape) -> str:
    """How many rows meet the conditions: for all values of these columns that so many have."""
    counted = f"count(*) FROM {kind.table} WHERE {_tests(kind, shape)}"
    if not by:
        return f"SELECT {counted}"
    names = _columns(kind, by)
    return f"SELECT {names}, {counted} GROUP BY {names} HAVING count(*) > {more_than}"


@cache
def least(kind: type[Row], name: str, shape: Shape) -> str:
    """The least value of a column among the rows that meet the conditions."""
    tests = _tests(kind, shape)
    return f"SELECT min({_columns(kind, (name,))}) FROM {kind.table} WHERE {tests}"


def _columns(kind: type[Row], names: tuple[str, ...]) -> str:
    columns_of(kind).check(names)
    return ", ".join(names)


def _tests(kind: type[Row], shape: Shape) -> str:
    columns_of(kind).check(column for column, _ in shape)
    return " AND ".join(f"{column} {operator}" for column, operator in shape) or "1"


@cache
def put(kind: type[Row], width: int, rows: int) -> str:
    """Insert or change so many rows; the columns after the first `width` are empty.

    Of a row that is there, only columns that this release knows are changed.
    """
    columns = columns_of(kind)
    marks = f"({', '.join('?' * width)})"
    changed = [f"{name} = excluded.{name}" for name in columns.names[1:width]]
    changed += [f"{name} = NULL" for name in columns.names[width:]]
    return (
        f"INSERT INTO {kind.table} ({', '.join(columns.names[:width])}) "
        f"VALUES {', '.join([marks] * rows)} "
        f"ON CONFLICT ({columns.key}) DO "
        + (f"UPDATE SET {', '.join(changed)}" if changed else "NOTHING")
    )


@cache
def change(kind: type[Row], changed: tuple[str, ...]) -> str:
    """Give these columns one value each, where the key is among those of the last value."""
    columns = columns_of(kind)
    columns.check(changed)
    values = ", ".join(f"{column} = ?" for column in changed)
    keys = "SELECT value FROM json_each(?)"
    return f"UPDATE {kind.table} SET {values} WHERE {columns.key} IN ({keys})"


# ── Making ────────────────────────────────────────────────────────────────────────────────────
def create_table(kind: type[Row]) -> str:
    """Make the table. Defaults are in it, too: another release may write rows without a column."""
    columns = columns_of(kind)
    key, *others = (_declared(kind, name) for name in columns.names)
    return f"CREATE TABLE {kind.table} ({', '.join([f'{key} PRIMARY KEY', *others])})"


def add_column(kind: type[Row], name: str) -> str:
    """Add a column to a table that lacks it. Raises `StoreBroken` if rows could not do without."""
    field = next(field for field in fields(kind) if field.name == name)
    if field.required:
        raise StoreBroken(
            f"The table {kind.table} lacks the column {name}: the database was made by another "
            "release of this package. Use that one; there may be orders in the database."
        )
    return f"ALTER TABLE {kind.table} ADD COLUMN {_declared(kind, name)}"


def _declared(kind: type[Row], name: str) -> str:
    field = next(field for field in fields(kind) if field.name == name)
    declared = f"{name} {columns_of(kind).sql_types[name]}"
    if field.required or field.default is None:
        return declared
    made = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    value = made if _plain_type(field.type) else msgspec.json.encode(made).decode()
    return f"{declared} DEFAULT {_literal(value)}"


def _literal(value: str | float | bytes) -> str:
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    return "'{}'".format(value.replace("'", "''")) if isinstance(value, str) else repr(value)


def index_name(kind: type[Row], index: Index) -> str:
    """A name that says what the index is: a changed one has another name, and is made."""
    parts = [kind.table, *index.columns]
    parts += ["if", index.filled] if index.filled else []
    parts += ["unless", index.empty] if index.empty else []
    return "_".join(parts)


def create_index(kind: type[Row], index: Index) -> str:
    """Make an index."""
    columns_of(kind).check((*index.columns, *filter(None, (index.filled, index.empty))))
    made = f"CREATE INDEX {index_name(kind, index)} ON {kind.table} ({', '.join(index.columns)})"
    if index.filled:
        return f"{made} WHERE {index.filled} IS NOT NULL"
    return f"{made} WHERE {index.empty} IS NULL" if index.empty else made
