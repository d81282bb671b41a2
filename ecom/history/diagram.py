"""Sequence diagrams: who said what to whom, top to bottom, as a picture and in words.

Drawn by matplotlib, as PNG and as SVG from the same code. Notebooks are given the PNG: it is the
one format that JupyterLab, a static export and a code host's notebook view all show (some hosts
choose an SVG output over the PNG beside it and then refuse to show it).
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

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


class Diagram:
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

    @cached_property
    def png(self) -> bytes:
        """The picture, in twice the resolution at which it is shown."""
        from ecom.history.drawing import draw, to_png

        return to_png(draw(self))

    @property
    def svg(self) -> str:
        """The picture with real text, and its words as title and description."""
        from ecom.history.drawing import draw, to_svg

        return to_svg(draw(self), self.title, self.text)

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        from ecom.history.drawing import width_of

        picture = base64.b64encode(self.png).decode()
        shown = {"alt": self.text, "width": width_of(self.png)}
        return {"image/png": picture, "text/plain": self.text}, {"image/png": shown}

    def __repr__(self) -> str:
        return self.text
