"""State machines: the states that the rows of a saga's tables go through, and what leads there.

Drawn as sequence diagrams are: a lifeline for each state, and an arrow for each transition.
"""

from functools import cached_property

from msgspec import Struct

from ecom.contract.event import Event
from ecom.harness.history.diagram import Diagram
from ecom.harness.history.step import Step
from ecom.runtime.saga import Saga
from ecom.runtime.service import NOTHING, Lifecycle
from ecom.stores.base import Row
from ecom_lab.docs.words import in_words

BEGINNING = "·"  # for `NOTHING`: there is no row yet
TOMBSTONE = "(tombstone)"  # what undoes was here before what it undoes


class StateMachine(Diagram):
    """The states of one kind of rows, as their service declares them."""

    def __init__(self, row: type[Row], lifecycle: Lifecycle) -> None:
        self.lifecycle = lifecycle
        name = row.__name__.lower()
        title = f"The states of {'an' if name[0] in 'aeiou' else 'a'} {name}"
        steps = [_step(*each) for each in lifecycle.transitions]
        failures = [step for step in steps if step.target not in lifecycle.hopeful]
        super().__init__(title, steps, failures, (BEGINNING, *lifecycle.states))

    @cached_property
    def arrows(self) -> dict[tuple[str, str], list[str]]:
        """What leads from one state, or from the beginning, to another, in words."""
        found: dict[tuple[str, str], list[str]] = {}
        for step in self.steps:
            words = found.setdefault((step.source, step.target), [])
            words += filter(None, (step.label, step.note))
        return found

    @property
    def text(self) -> str:
        """A line for each arrow."""
        lines = [
            f"  {before:>10} → {after:<10} {', '.join(words)}"
            for (before, after), words in self.arrows.items()
        ]
        return "\n".join([f"{self.title}: {', '.join(self.lifecycle.states)}", *lines])


def _step(before: str, message: type[Struct], after: str) -> Step:
    undoes = before == NOTHING and issubclass(message, Event) and message.failure
    note = TOMBSTONE if undoes else ""
    return Step("event", before or BEGINNING, after, in_words(message), note)


def state_machines(saga: Saga) -> dict[str, StateMachine]:
    """The state machine of each table whose rows have declared states; by the table's name."""
    return {
        row.table: StateMachine(row, lifecycle)
        for service in saga.services.values()
        for row, lifecycle in service.transitions.items()
    }
