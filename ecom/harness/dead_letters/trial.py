"""The outcome of trying a dead letter: what it would change, emit and request."""

from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import astuple

if TYPE_CHECKING:
    import pandas as pd


class Change(Struct, frozen=True):
    """One column of one row; `before` is None for a new row, `after` for a deleted one."""

    table: str
    key: str
    column: str
    before: Any
    after: Any


class Said(Struct, frozen=True):
    """An event that would be emitted."""

    type: str
    order_id: str
    body: str


class Asked(Struct, frozen=True):
    """An effect that would be performed, under this idempotency key."""

    type: str
    key: str
    body: str


class Trial(Struct, frozen=True):
    """What would become of a dead letter, if it were replayed as the service stands now."""

    outcome: str  # "would …"
    error: str = ""
    changed: list[Change] = []
    said: list[Said] = []
    asked: list[Asked] = []

    @property
    def is_good(self) -> bool:
        """Whether it would be handled."""
        return self.outcome == "would be handled"

    @property
    def changes(self) -> "pd.DataFrame":
        """table, key, column, before, after: what would change in the service's tables."""
        return _frame(Change, self.changed)

    @property
    def events(self) -> "pd.DataFrame":
        """type, order_id, body: the events that it would emit."""
        return _frame(Said, self.said)

    @property
    def effects(self) -> "pd.DataFrame":
        """type, key, body: the effects that it would request."""
        return _frame(Asked, self.asked)

    def __repr__(self) -> str:
        lines = [f"It {self.outcome}{': ' + self.error if self.error else ''}"]
        change = "  {0.table} {0.key}: {0.column} {0.before!r} → {0.after!r}"
        lines += [change.format(it) for it in self.changed]
        lines += [f"  emits {it.type} of order {it.order_id}: {it.body}" for it in self.said]
        lines += [f"  asks for {it.type} under {it.key}: {it.body}" for it in self.asked]
        return "\n".join(lines)


def _frame(kind: type[Struct], rows: list) -> "pd.DataFrame":
    import pandas as pd  # here: a dry run itself does not need it

    return pd.DataFrame([astuple(row) for row in rows], columns=list(kind.__struct_fields__))
