"""How a sequence diagram is drawn."""

from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ecom.harness.diagrams import palette
from ecom.harness.diagrams.rendering import MARGIN, SIZE, SMALL, paper, width_of_text, write
from ecom.harness.history.step import Step

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

_HEAD_BOX = {"boxstyle": "round,pad=0.35", "fc": palette.PALE, "ec": palette.INK, "lw": 0.8}
_STATE_BOX = {"boxstyle": "square,pad=0.3", "fc": palette.CREAM, "ec": palette.INK, "lw": 0.6}
_LABEL_BOX = {"boxstyle": "square,pad=0.08", "fc": palette.PAPER, "ec": "none", "alpha": 0.9}


def draw(
    title: str, lifelines: Sequence[str], steps: Sequence[Step], failures: Collection[str]
) -> Figure:
    """The figure of some steps; `failures` are the labels of events that undo something."""
    places = {name: EDGE + i * APART for i, name in enumerate(lifelines)}
    ends = [_right_end(step, places) + MARGIN for step in steps]
    width = max([2 * EDGE + APART * max(1, len(lifelines) - 1), *ends])
    height = HEAD + sum(map(_height, steps)) + FOOT
    with paper(title, width, height) as axes:
        for name, x in places.items():
            axes.plot([x, x], [HEAD - 0.22, height - 0.1], color=palette.LINE, lw=0.9, zorder=1)
            write(axes, x, HEAD - 0.38, name, weight="bold", bbox=_HEAD_BOX)
        y = HEAD
        for step in steps:
            y += _height(step)
            start, end = places[step.source], places[step.target]
            _step(axes, step, start, end, y - 0.12, _colour(step, failures))
    return axes.figure


def _height(step: Step) -> float:
    if step.kind == "state":
        return 0.31
    return 0.40 if step.note and step.source != step.target else 0.36


def _right_end(step: Step, places: dict[str, float]) -> float:
    """How far to the right the words of a step reach."""
    start, end = places[step.source], places[step.target]
    if step.kind == "state":
        return start + width_of_text(_stated(step), SMALL) / 2
    if start == end:
        return start + BESIDE + width_of_text(_beside(step))
    label, note = width_of_text(_above(step)), width_of_text(_beneath(step), NOTE_SIZE)
    return _middle(start, end) + max(label, note) / 2


def _step(axes: Axes, step: Step, start: float, end: float, y: float, colour: str) -> None:
    if step.kind == "state":  # what the service's row says now
        write(axes, start, y, _stated(step), size=SMALL, zorder=5, bbox=_STATE_BOX)
    elif start == end:
        _loop(axes, step, start, y, colour)
    else:
        _arrow(axes, step, start, end, y, colour)


def _loop(axes: Axes, step: Step, x: float, y: float, colour: str) -> None:
    """Something that happens at one lifeline: a retry, a timer, a dead letter."""
    if step.kind in ("dead", "crash"):
        axes.plot([x], [y - 0.03], "X", ms=9, color=colour, mec=palette.PAPER, mew=0.5, zorder=5)
    else:
        way = _way(step, colour) | {"connectionstyle": "arc3,rad=-1.6"}
        place = {"xy": (x + 0.02, y + 0.07), "xytext": (x + 0.02, y - 0.12)}
        axes.annotate("", **place, zorder=3, arrowprops=way)
    _label(axes, x + BESIDE, y - 0.03, _beside(step), step, ha="left")


def _arrow(axes: Axes, step: Step, start: float, end: float, y: float, colour: str) -> None:
    towards = 1 if end > start else -1
    way = _way(step, colour)
    line = {name: way[name] for name in ("color", "lw", "linestyle")}
    axes.plot([start, end - 0.04 * towards], [y, y], zorder=4, **line)
    # The head by itself: it would be dashed, too.
    place = {"xy": (end, y), "xytext": (end - 0.05 * towards, y)}
    axes.annotate("", **place, zorder=4, arrowprops=way | {"linestyle": "solid"})
    _label(axes, _middle(start, end), y - 0.1, _above(step), step)
    if step.note:
        _label(axes, _middle(start, end), y + 0.1, _beneath(step), step, size=NOTE_SIZE)
    if step.status == "dead":
        axes.plot([end - 0.12 * towards], [y], "X", ms=9, color=palette.FAILURE, zorder=5)
    if step.kind == "mail":
        _envelope(axes, end, y + 0.07)  # beneath the words, which may be longer than the arrow


def _way(step: Step, colour: str) -> dict[str, Any]:
    """How the line of an arrow looks."""
    hollow = step.kind == "answer" or step.status == "awaited"
    return {
        "arrowstyle": "->" if hollow else "-|>",
        "color": colour,
        "lw": 1.3,
        "linestyle": STYLES.get(step.status, "solid"),
        "shrinkA": 0,
        "shrinkB": 0,
        "mutation_scale": 11,
    }


def _colour(step: Step, failures: Collection[str]) -> str:
    if step.status in BY_STATUS:
        return BY_STATUS[step.status]
    failed = step.kind == "event" and step.label in failures
    return palette.FAILURE if failed else COLOURS.get(step.kind, palette.INK)


def _label(axes: Axes, x: float, y: float, text: str, step: Step, **style: Any) -> None:
    """Words are dark enough to be read: the colour is the line's."""
    faint = step.status == "awaited" or style.get("size", SIZE) < SIZE
    colour = palette.GREY if faint else palette.INK
    write(axes, x, y, text, color=colour, zorder=3, bbox=_LABEL_BOX, **style)


def _envelope(axes: Axes, x: float, y: float) -> None:
    """An e-mail, lying on the lifeline."""
    left, right, top, bottom = x + 0.04, x + 0.32, y - 0.1, y + 0.1
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    flap = [(left, top), ((left + right) / 2, y + 0.02), (right, top)]
    for (x0, y0), (x1, y1) in (*pairwise(corners), *pairwise(flap)):
        axes.plot([x0, x1], [y0, y1], color=palette.PURPLE, lw=1.1, zorder=5)


# ── words ─────────────────────────────────────────────────────────────────────────────────────
def _middle(start: float, end: float) -> float:
    """Where the words of an arrow are: in the first gap it crosses, beside its source."""
    return start + APART / 2 * (1 if end > start else -1)


def _stated(step: Step) -> str:
    return f"{step.label} ({step.note})" if step.note else step.label


def _beside(step: Step) -> str:
    """The words beside a loop."""
    return _short(f"{step.label}: {step.note}" if step.note else step.label, 70)


def _above(step: Step) -> str:
    status = "" if step.status in ("done", "dead") else f" ({step.status})"
    return _short(step.label, 40) + status


def _beneath(step: Step) -> str:
    return _short(step.note, 48)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
