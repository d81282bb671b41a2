"""Sequence diagrams: who said what to whom, top to bottom, as a picture and in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ecom.harness.diagrams.picture import Picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LIFELINES = ("customer", "order", "inventory", "payment", "provider", "notification", "mailbox")
KINDS = ("command", "event", "state", "timer", "effect", "answer", "mail", "retry", "dead", "crash")
STATUSES = ("done", "retried", "duplicate", "awaited", "dead")


@dataclass(frozen=True)
class Step:
    """One line of a sequence diagram. `target` is the source itself for what happens there."""

    kind: str  # one of KINDS
    source: str  # a lifeline; any name will do, those of LIFELINES have their usual places
    target: str
    label: str
    note: str = ""
    status: str = "done"  # one of STATUSES

    def __str__(self) -> str:
        way = self.source if self.source == self.target else f"{self.source} → {self.target}"
        status = "" if self.status == "done" else f" [{self.status}]"
        note = f" ({self.note})" if self.note else ""
        return f"{way:<26} {self.label}{status}{note}"


class Diagram(Picture):
    """The sequence diagram of some steps; shows itself in a notebook."""

    def __init__(self, title: str, steps: Sequence[Step]) -> None:
        self.title = title
        self.steps = tuple(steps)

    @property
    def lifelines(self) -> list[str]:
        """Who takes part, from left to right."""
        names = dict.fromkeys(name for step in self.steps for name in (step.source, step.target))
        return sorted(names, key=lambda name: LIFELINES.index(name) if name in LIFELINES else 99)

    @property
    def text(self) -> str:
        """The diagram in words, a line each step: also its alternative text."""
        lines = (f"{i:>3}  {step}" for i, step in enumerate(self.steps, 1))
        return "\n".join([self.title, *lines])

    def figure(self) -> "Figure":
        """A new matplotlib figure of it."""
        from ecom.harness.history.drawing import draw

        return draw(self)
