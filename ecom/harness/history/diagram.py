"""Sequence diagrams: what passed between whom, top to bottom, as a picture and in words."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from ecom.harness.diagrams import palette
from ecom.harness.diagrams.picture import SIZE, SMALL, Picture, paper, write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KINDS = ("command", "event", "state", "timer", "effect", "answer", "mail", "retry", "dead", "crash")
STATUSES = ("done", "retried", "duplicate", "awaited", "dead")

APART = 1.2  # between lifelines
EDGE = 0.65  # from the outer lifelines to the edge
HEAD, FOOT = 0.95, 0.25
BESIDE = 0.25  # from a lifeline to the words beside it
NOTE_SIZE = 7.5

COLOURS = {
    "event": palette.SUCCESS,
    "effect": palette.GREEN,
    "answer": palette.GREEN,
    "mail": palette.PURPLE,
    "retry": palette.RETRY,
    "dead": palette.FAILURE,
    "crash": palette.FAILURE,
}
BY_STATUS = {"awaited": palette.GREY, "dead": palette.FAILURE, "retried": palette.RETRY}
STYLES = {"awaited": (0, (4, 3)), "duplicate": (0, (1, 2)), "dead": (0, (6, 2, 1, 2))}

_WAY = {"lw": 1.3, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 11}
_HEAD_BOX = {"boxstyle": "round,pad=0.35", "fc": palette.PALE, "ec": palette.INK, "lw": 0.8}
_STATE_BOX = {"boxstyle": "square,pad=0.3", "fc": palette.CREAM, "ec": palette.INK, "lw": 0.6}
_LABEL_BOX = {"boxstyle": "square,pad=0.08", "fc": palette.PAPER, "ec": "none", "alpha": 0.9}


class Step(NamedTuple):
    """What passed from `source` to `target`; the same twice for what happens there."""

    kind: str  # one of KINDS
    source: str  # a lifeline
    target: str
    label: str
    note: str = ""
    status: str = "done"  # one of STATUSES

    def __str__(self) -> str:
        way = self.source if self.source == self.target else f"{self.source} → {self.target}"
        status = "" if self.status == "done" else f" [{self.status}]"
        note = f" ({self.note})" if self.note else ""
        return f"{way:<26} {self.label}{status}{note}"


@dataclass(repr=False, eq=False)
class Diagram(Picture):
    """The sequence diagram of some steps; shows itself in a notebook.

    `failures` are the events that are published when something failed. Lifelines may have any
    names; those in `places` come first, in that order.
    """

    title: str
    steps: Sequence[Step]
    failures: Collection[str] = ()
    places: Sequence[str] = ()

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
        places = {name: EDGE + i * APART for i, name in enumerate(self.lifelines)}
        width = 2 * EDGE + APART * max(1, len(places) - 1)
        height = HEAD + sum(map(_height, self.steps)) + FOOT
        with paper(self.title, width, height) as axes:
            for name, x in places.items():
                axes.plot([x, x], [HEAD - 0.22, height - 0.1], color=palette.LINE, lw=0.9, zorder=1)
                write(axes, x, HEAD - 0.38, name, weight="bold", bbox=_HEAD_BOX)
            y = HEAD
            for step in self.steps:
                y += _height(step)
                way = places[step.source], places[step.target]
                _draw(axes, step, *way, y - 0.12, self._colour(step))
        return axes.figure

    def _colour(self, step: Step) -> str:
        if step.status in BY_STATUS:
            return BY_STATUS[step.status]
        failed = step.kind == "event" and step.label in self.failures
        return palette.FAILURE if failed else COLOURS.get(step.kind, palette.INK)


def _height(step: Step) -> float:
    if step.kind == "state":
        return 0.31
    return 0.40 if step.note and step.source != step.target else 0.36


def _draw(axes: "Axes", step: Step, start: float, end: float, y: float, colour: str) -> None:
    if step.kind == "state":  # what the service's row says now
        words = f"{step.label} ({step.note})" if step.note else step.label
        write(axes, start, y, words, size=SMALL, zorder=5, bbox=_STATE_BOX)
    elif start == end:
        _loop(axes, step, start, y, colour)
    else:
        _arrow(axes, step, start, end, y, colour)


def _loop(axes: "Axes", step: Step, x: float, y: float, colour: str) -> None:
    """Something that happens at one lifeline: a retry, a timer, a dead letter."""
    if step.kind in ("dead", "crash"):
        axes.plot([x], [y - 0.03], "X", ms=9, color=colour, mec=palette.PAPER, mew=0.5, zorder=5)
    else:
        way = _way(step, colour) | {"connectionstyle": "arc3,rad=-1.6"}
        place = {"xy": (x + 0.02, y + 0.07), "xytext": (x + 0.02, y - 0.12)}
        axes.annotate("", **place, zorder=3, arrowprops=way)
    words = _short(f"{step.label}: {step.note}" if step.note else step.label, 70)
    _label(axes, x + BESIDE, y - 0.03, words, step, ha="left")


def _arrow(axes: "Axes", step: Step, start: float, end: float, y: float, colour: str) -> None:
    towards = 1 if end > start else -1
    way = _way(step, colour)
    line = {name: way[name] for name in ("color", "lw", "linestyle")}
    axes.plot([start, end - 0.04 * towards], [y, y], zorder=4, **line)
    # The head by itself: it would be dashed, too.
    place = {"xy": (end, y), "xytext": (end - 0.05 * towards, y)}
    axes.annotate("", **place, zorder=4, arrowprops=way | {"linestyle": "solid"})
    middle = start + APART / 2 * towards  # of the first gap it crosses
    status = "" if step.status in ("done", "dead") else f" ({step.status})"
    _label(axes, middle, y - 0.1, _short(step.label, 40) + status, step)
    if step.note:
        _label(axes, middle, y + 0.1, _short(step.note, 48), step, size=NOTE_SIZE)
    if step.status == "dead":
        axes.plot([end - 0.12 * towards], [y], "X", ms=9, color=palette.FAILURE, zorder=5)
    if step.kind == "mail":
        _envelope(axes, end, y + 0.07)  # beneath the words, which may be longer than the arrow


def _way(step: Step, colour: str) -> dict[str, Any]:
    """How the line of an arrow looks."""
    hollow = step.kind == "answer" or step.status == "awaited"
    style, line = "->" if hollow else "-|>", STYLES.get(step.status, "solid")
    return _WAY | {"arrowstyle": style, "color": colour, "linestyle": line}


def _label(axes: "Axes", x: float, y: float, text: str, step: Step, **style: Any) -> None:
    """Words are dark enough to be read: the colour is the line's."""
    faint = step.status == "awaited" or style.get("size", SIZE) < SIZE
    colour = palette.GREY if faint else palette.INK
    write(axes, x, y, text, color=colour, zorder=3, bbox=_LABEL_BOX, **style)


def _envelope(axes: "Axes", x: float, y: float) -> None:
    """An e-mail, lying on the lifeline."""
    left, right, top, bottom = x + 0.04, x + 0.32, y - 0.1, y + 0.1
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    flap = [(left, top), ((left + right) / 2, y + 0.02), (right, top)]
    for (x0, y0), (x1, y1) in (*pairwise(corners), *pairwise(flap)):
        axes.plot([x0, x1], [y0, y1], color=palette.PURPLE, lw=1.1, zorder=5)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
