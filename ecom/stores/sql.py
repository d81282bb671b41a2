"""SQL text for rows of a kind, made once from the fields of its class and never from data."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple, get_args

import msgspec
from msgspec.structs import FieldInfo, astuple, fields

from ecom.stores.base import Row, StoreBroken, StoreUnavailable
from ecom.stores.query import AtMost, Bound, MoreThan

_PLAIN = {str: "TEXT", int: "INTEGER", float: "REAL", bytes: "BLOB"}
_BOUNDS = {AtMost: "<= ?", MoreThan: "> ?"}
_OPERATORS = {type(None): "IS NULL", **_BOUNDS}  # else "= ?"


class Dialect(NamedTuple):
    """In what databases differ when tables are made: their names of types, and a byte string."""

    types: dict[str, str]  # by SQLite's, where they are others
    bytes: str


SQLITE = Dialect({}, "x'{}'")


def taken(replica: str, where: object) -> StoreUnavailable:
    """What two processes under one name are told: one would pass over what the other has left."""
    return StoreUnavailable(
        f"Another process is replica {replica} of {where}: end that one, or give this one another "
        "ECOM_REPLICA."
    )


class Columns:
    """How rows of one kind become tuples for SQL, and back."""

    def __init__(self, kind: type[Row]) -> None:
        self.kind = kind
        self.names = kind.__struct_fields__
        self.types = [_plain_type(field.type) or "TEXT" for field in fields(kind)]
        self._json = [
            (i, msgspec.json.Decoder(field.type).decode)
            for i, field in enumerate(fields(kind))
            if _plain_type(field.type) is None
        ]
        self.key = self.names[0]
        select = f"SELECT {', '.join(self.names)} FROM {kind.table} WHERE"
        self.fetch = f"{select} {self.key} = ?"
        self.among = f"{self.key} IN (SELECT value FROM json_each(?))"  # in SQLite
        self.fetch_many = f"{select} {self.among}"
        # Most rows end in columns that are empty: to bind those costs a quarter of a row.
        self.filled = max(i for i, it in enumerate(fields(kind), 1) if it.default is not None)
        self.delete_many = f"DELETE FROM {kind.table} WHERE {self.among}"

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
    return tuple((it, _OPERATORS.get(type(wanted), "= ?")) for it, wanted in conditions.items())


def values_of(conditions: dict[str, Any]) -> list[Any]:
    """What of conditions is handed over beside it."""
    return [
        wanted.bound if isinstance(wanted, Bound) else wanted
        for wanted in conditions.values()
        if wanted is not None
    ]


@cache
def select(kind: type[Row], what: str, names: tuple[str, ...], shape: Shape) -> str:
    """What of the rows that meet the conditions; in `what`, {0} stands for these columns."""
    columns_of(kind).check((*names, *(column for column, _ in shape)))
    tests = " AND ".join(f"{column} {operator}" for column, operator in shape) or "TRUE"
    return f"SELECT {what.format(', '.join(names))} FROM {kind.table} WHERE {tests}"


@cache
def where(kind: type[Row], shape: Shape) -> str:
    """The rows that meet the conditions, as `in_order` sorts them; the last value is the limit."""
    names = columns_of(kind).names
    bounded = [column for column, operator in shape if operator in _BOUNDS.values()]
    order = ", ".join(dict.fromkeys((*bounded, names[0])))
    return f"{select(kind, '{0}', names, shape)} ORDER BY {order} LIMIT ?"


@cache
def put(kind: type[Row], width: int, rows: int) -> str:
    """Insert or change so many rows; see `put_from`."""
    marks = f"({', '.join('?' * width)})"
    return put_from(kind, width, f"VALUES {', '.join([marks] * rows)}")


def put_from(kind: type[Row], width: int, source: str) -> str:
    """Insert or change the rows of `source`; the columns after the first `width` are empty.

    Of a row that is there, only columns that this release knows are changed.
    """
    key, *others = columns_of(kind).names
    changed = [f"{name} = excluded.{name}" for name in others[: width - 1]]
    changed += [f"{name} = NULL" for name in others[width - 1 :]]
    then = f"UPDATE SET {', '.join(changed)}" if changed else "NOTHING"
    return f"{insert(kind, width, source)} ON CONFLICT ({key}) DO {then}"


def insert(kind: type[Row], width: int, source: str) -> str:
    """Insert the rows of `source`, which are not there yet."""
    return f"INSERT INTO {kind.table} ({', '.join(columns_of(kind).names[:width])}) {source}"


@cache
def change(kind: type[Row], changed: tuple[str, ...], among: str) -> str:
    """Give these columns one value each, in the rows whose keys are `among` those wanted."""
    columns_of(kind).check(changed)
    values = ", ".join(f"{column} = ?" for column in changed)
    return f"UPDATE {kind.table} SET {values} WHERE {among}"


# ── Making ────────────────────────────────────────────────────────────────────────────────────
def create_table(kind: type[Row], dialect: Dialect) -> str:
    """Make the table. Defaults are in it, too: another release may write rows without a column."""
    key, *others = (_declared(field, dialect) for field in fields(kind))
    return f"CREATE TABLE {kind.table} ({', '.join([f'{key} PRIMARY KEY', *others])})"


def add_column(kind: type[Row], field: FieldInfo, dialect: Dialect) -> str:
    """Add a column to a table that lacks it. Raises `StoreBroken` if rows could not do without."""
    if field.required:
        raise StoreBroken(
            f"The table {kind.table} lacks the column {field.name}: the database was made by "
            "another release of this package. Use that one; there may be orders in the database."
        )
    return f"ALTER TABLE {kind.table} ADD COLUMN {_declared(field, dialect)}"


def _declared(field: FieldInfo, dialect: Dialect) -> str:
    plain = _plain_type(field.type)
    type_ = plain or "TEXT"
    declared = f"{field.name} {dialect.types.get(type_, type_)}"
    if field.required or field.default is None:
        return declared
    made = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    value = made if plain else msgspec.json.encode(made).decode()
    return f"{declared} DEFAULT {literal(value, dialect)}"


def literal(value: str | float | bytes, dialect: Dialect = SQLITE) -> str:
    """A value as SQL writes it."""
    if isinstance(value, bytes):
        return dialect.bytes.format(value.hex())
    return "'{}'".format(value.replace("'", "''")) if isinstance(value, str) else repr(value)


def create_indexes(kind: type[Row]) -> dict[str, str]:
    """Make indexes, each by a name that says what it is: a changed one has another, and is made."""
    made = {}
    for columns, filled, empty in kind.indexes:
        columns_of(kind).check((*columns, *filter(None, (filled, empty))))
        name, which = "_".join((kind.table, *columns)), ""
        if filled:
            name, which = f"{name}_if_{filled}", f" WHERE {filled} IS NOT NULL"
        elif empty:
            name, which = f"{name}_unless_{empty}", f" WHERE {empty} IS NULL"
        made[name] = f"CREATE INDEX {name} ON {kind.table} ({', '.join(columns)}){which}"
    return made
