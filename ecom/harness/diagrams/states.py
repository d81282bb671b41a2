"""State machines: the states that the rows of a saga's tables go through, and what leads there."""

from functools import cached_property
from typing import TYPE_CHECKING

from ecom.contract.event import Event
from ecom.harness.diagrams import palette
from ecom.harness.diagrams.picture import Picture, in_words
from ecom.runtime.saga import Saga
from ecom.runtime.service import NOTHING, Lifecycle
from ecom.stores.base import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KEY = """\
blue: leads to success · orange: failed, or is undone
italic: a command, a result, a deadline · thick: an end"""
TOMBSTONE = "(tombstone)"  # what undoes was here before what it undoes


def states_of(lifecycle: Lifecycle) -> list[str]:
    """All states, in the order in which they are named."""
    return list(dict.fromkeys(after for _, _, after in lifecycle.transitions))


def hopeful(lifecycle: Lifecycle) -> set[str]:
    """Success, and the states that can still lead to it: in all others something failed."""
    found, before = {lifecycle.success}, set[str]()
    while found != before:
        before = set(found)
        found |= {source for source, _, target in lifecycle.transitions if target in found}
    return found


class StateMachine(Picture):
    """The states of one kind of rows, as their service declares them."""

    def __init__(self, row: type[Row], lifecycle: Lifecycle) -> None:
        name = row.__name__.lower()
        self.title = f"The states of {'an' if name[0] in 'aeiou' else 'a'} {name}"
        self.lifecycle = lifecycle

    @cached_property
    def arrows(self) -> dict[tuple[str, str], list[str]]:
        """What leads from one state (`NOTHING`: no row) to another, in words."""
        found: dict[tuple[str, str], list[str]] = {}
        for before, message, after in self.lifecycle.transitions:
            words = found.setdefault((before, after), [])
            words.append(in_words(message))
            if before == NOTHING and issubclass(message, Event) and message.failure:
                words.append(TOMBSTONE)
        return found

    @property
    def text(self) -> str:
        """A line for each arrow."""
        lines = [
            f"  {before or '·':>10} → {after:<10} {', '.join(words)}"
            for (before, after), words in self.arrows.items()
        ]
        return "\n".join([f"{self.title}: {', '.join(states_of(self.lifecycle))}", *lines])

    def figure(self) -> "Figure":
        """A new matplotlib figure of it."""
        from ecom.harness.diagrams.state_drawing import draw

        good, messages = hopeful(self.lifecycle), (it[1] for it in self.lifecycle.transitions)
        colours = {
            state: palette.SUCCESS if state in good else palette.FAILURE
            for state in states_of(self.lifecycle)
        }
        slanted = {in_words(message) for message in messages if not issubclass(message, Event)}
        return draw(self.title, KEY, self.arrows, colours, slanted | {TOMBSTONE})


def state_machines(saga: Saga) -> dict[str, StateMachine]:
    """The state machine of each table whose rows have declared states; by the table's name."""
    return {
        row.table: StateMachine(row, lifecycle)
        for service in saga.services.values()
        for row, lifecycle in service.transitions.items()
    }
