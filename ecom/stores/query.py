"""Which rows are meant: by key, or by the conditions that `where` and `select` understand."""

from collections.abc import Iterable
from typing import Any, TypeVar

from msgspec import Struct

R = TypeVar("R", bound=Struct)
Key = str | int


class AtMost(Struct, frozen=True):
    """`where(due=AtMost(now))`: the column has a value, and it is at most this."""

    bound: Any


class MoreThan(Struct, frozen=True):
    """`where(seq=MoreThan(7))`: the column has a value, and it is more than this."""

    bound: Any


Bound = AtMost | MoreThan
ANY = AtMost(float("inf"))  # `where(due=ANY)`: the column, one of numbers, has a value


def key_of(row: Struct) -> Key:
    """The value of a row's first field."""
    key: Key = getattr(row, row.__struct_fields__[0])
    return key


def matches(row: Struct, conditions: dict[str, Any]) -> bool:
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
