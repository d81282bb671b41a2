"""Each service's state machine: the states its rows were seen in, and what led from one to another.

Measured, not drawn by hand: `ecom_lab.docs.seen` runs the handlers, and every change it sees is an
arrow here. A state that no row is ever in is not in the picture.
"""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from ecom.harness.diagrams.picture import Picture
from ecom.sagas.choreography import choreography
from ecom_lab.docs.seen import NOTHING, WORLDS, Change, look
from ecom_lab.simulator.scenario import Design, Scenario

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLES = {"orders": "an order", "reservations": "a reservation", "payments": "a payment"}
TOMBSTONE = (NOTHING, "CANCELLED")  # the cancellation was here first


class StateMachine(Picture):
    """The states of a table's rows, and what leads from one to another."""

    def __init__(self, table: str, changes: Iterable[Change]) -> None:
        self.table = table
        self.title = f"The states of {TITLES.get(table, table)}"
        self.changes = sorted(change for change in changes if change.table == table)

    @cached_property
    def arrows(self) -> dict[tuple[str, str], list[str]]:
        """What leads from one state (`NOTHING`: no row) to another: events first."""
        found: dict[tuple[str, str], list[str]] = {}
        for change in self.changes:
            found.setdefault((change.before, change.after), []).append(change.by)
        return {pair: sorted(by, key=_place) for pair, by in found.items()}

    @property
    def words(self) -> dict[tuple[str, str], list[str]]:
        """What is written at each arrow."""
        return {pair: [*by, "(tombstone)"] if pair == TOMBSTONE else by
                for pair, by in self.arrows.items()}  # fmt: skip

    @property
    def states(self) -> list[str]:
        """The states, by name."""
        return sorted({change.after for change in self.changes})

    @property
    def final(self) -> list[str]:
        """The states that nothing leads out of."""
        return [state for state in self.states if all(state != one for one, _ in self.arrows)]

    @property
    def text(self) -> str:
        """A line for each arrow."""
        lines = [f"  {before or '·':>10} → {after:<10} {', '.join(words)}"
                 for (before, after), words in self.words.items()]  # fmt: skip
        return "\n".join([f"{self.title}: {', '.join(self.states)}", *(map(str.rstrip, lines))])

    def figure(self) -> "Figure":
        """A new matplotlib figure of it."""
        from ecom.harness.diagrams.state_drawing import draw

        return draw(self)


def state_machines(
    worlds: Iterable[Scenario] = WORLDS, design: Design | None = None
) -> Mapping[str, StateMachine]:
    """The state machine of each table whose rows have a state; by the table's name."""
    changes = look(worlds, design).changes
    services = choreography().services.values()
    tables = [kind.table for service in services for kind in service.rows]
    seen = {change.table for change in changes}
    return {table: StateMachine(table, changes) for table in tables if table in seen}


def _place(by: str) -> tuple[bool, int, str]:
    keys = list(choreography().contract.by_key)
    return by not in keys, keys.index(by) if by in keys else 0, by
