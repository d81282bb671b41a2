"""Sequence diagrams: what passed between whom, top to bottom, as a picture and in words."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from ecom.harness.diagrams.picture import Picture
from ecom.harness.history.step import Step

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Diagram(Picture):
    """The sequence diagram of some steps; shows itself in a notebook.

    `failures` are the events that are published when something failed. Lifelines may have any
    names; those in `places` come first, in that order.
    """

    def __init__(
        self,
        title: str,
        steps: Sequence[Step],
        failures: Collection[str] = (),
        places: Sequence[str] = (),
    ) -> None:
        self.title = title
        self.places = places
        self.steps = tuple(steps)
        self.failures = failures

    @property
    def lifelines(self) -> list[str]:
        """Who takes part, from left to right."""
        names = dict.fromkeys(name for step in self.steps for name in (step.source, step.target))
        last = len(self.places)
        return sorted(names, key=lambda it: self.places.index(it) if it in self.places else last)

    @property
    def text(self) -> str:
        """The diagram in words, a line each step: also its alternative text."""
        lines = (f"{i:>3}  {step}" for i, step in enumerate(self.steps, 1))
        return "\n".join([self.title, *lines])

    def figure(self) -> "Figure":
        """A new matplotlib figure of it."""
        from ecom.harness.history.drawing import draw

        return draw(self.title, self.lifelines, self.steps, self.failures)
