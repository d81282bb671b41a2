"""How a sequence diagram is drawn. All lengths are inches, from the upper left corner down."""

from itertools import pairwise

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ecom.harness.diagrams.rendering import width_of_text
from ecom.harness.history import palette
from ecom.harness.history.diagram import Diagram, Step

APART = 1.55  # between lifelines
EDGE = 0.8  # from the outer lifelines to the edge
HEAD, FOOT = 0.95, 0.25
BESIDE = 0.25  # from a lifeline to the words beside it
SIZE, NOTE_SIZE, STATE_SIZE, TITLE_SIZE = 8.5, 7, 7.5, 10  # points

COLOURS = {
    "command": palette.INK, "event": palette.BLUE, "effect": palette.GREEN,
    "answer": palette.GREEN, "mail": palette.PURPLE, "timer": palette.INK,
    "retry": palette.ORANGE, "dead": palette.RED, "crash": palette.RED, "state": palette.INK,
}  # fmt: skip
STYLES = {"awaited": (0, (4, 3)), "duplicate": (0, (1, 2)), "dead": (0, (6, 2, 1, 2))}


_HEAD_BOX = {"boxstyle": "round,pad=0.35", "fc": palette.PALE, "ec": palette.INK, "lw": 0.8}
_STATE_BOX = {"boxstyle": "square,pad=0.3", "fc": palette.CREAM, "ec": palette.INK, "lw": 0.6}
_LABEL_BOX = {"boxstyle": "square,pad=0.08", "fc": palette.PAPER, "ec": "none", "alpha": 0.9}


def draw(diagram: Diagram) -> Figure:
    """The figure of a diagram."""
    lifelines = diagram.lifelines
    heights = [_height(step) for step in diagram.steps]
    places = {name: EDGE + i * APART for i, name in enumerate(lifelines)}
    width = max([2 * EDGE + APART * max(1, len(lifelines) - 1),
                 width_of_text(diagram.title, TITLE_SIZE, weight="bold") + 0.3]
                + [_right_end(step, places) + 0.15 for step in diagram.steps])  # fmt: skip
    height = HEAD + sum(heights) + FOOT
    with matplotlib.rc_context({"font.family": palette.FONT, "font.size": SIZE}):
        figure = Figure(figsize=(width, height), facecolor=palette.PAPER)
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        axes.axis("off")
        axes.text(
            0.15,
            0.22,
            diagram.title,
            weight="bold",
            size=TITLE_SIZE,
            color=palette.INK,
            va="center",
        )
        for name, x in places.items():
            _lifeline(axes, name, x, height)
        y = HEAD
        for step, room in zip(diagram.steps, heights, strict=True):
            _step(axes, step, places[step.source], places[step.target], y + room - 0.12)
            y += room
    return figure


def _height(step: Step) -> float:
    if step.kind == "state":
        return 0.31
    return 0.40 if step.note and step.source != step.target else 0.36


def _right_end(step: Step, places: dict[str, float]) -> float:
    """How far to the right the words of a step reach."""
    start, end = places[step.source], places[step.target]
    if _is_loop(step):
        return start + BESIDE + width_of_text(_beside(step), SIZE)
    if step.kind == "state":
        return start + width_of_text(_stated(step), STATE_SIZE) / 2
    label, note = width_of_text(_above(step), SIZE), width_of_text(_beneath(step), NOTE_SIZE)
    return _middle(start, end) + max(label, note) / 2


def _lifeline(axes: Axes, name: str, x: float, height: float) -> None:
    axes.plot([x, x], [HEAD - 0.22, height - 0.1], color="#BBBBBB", lw=0.9, zorder=1)
    axes.text(
        x,
        HEAD - 0.38,
        name,
        ha="center",
        va="center",
        color=palette.INK,
        weight="bold",
        bbox=_HEAD_BOX,
    )


def _step(axes: Axes, step: Step, start: float, end: float, y: float) -> None:
    if step.kind == "state":
        _state(axes, step, start, y)
    elif _is_loop(step):
        _loop(axes, step, start, y)
    else:
        _arrow(axes, step, start, end, y)


def _state(axes: Axes, step: Step, x: float, y: float) -> None:
    """A note on the lifeline: what the service's row says now."""
    axes.text(x, y, _stated(step), ha="center", va="center", size=STATE_SIZE, color=palette.INK,
              zorder=5, bbox=_STATE_BOX)  # fmt: skip


def _stated(step: Step) -> str:
    return f"{step.label} ({step.note})" if step.note else step.label


def _loop(axes: Axes, step: Step, x: float, y: float) -> None:
    """Something that happens at one lifeline: a retry, a timer, a dead letter."""
    colour = _colour(step)
    if step.kind in ("dead", "crash"):
        axes.plot([x], [y - 0.03], "X", ms=9, color=colour, mec=palette.PAPER, mew=0.5, zorder=5)
    else:
        axes.annotate("", xy=(x + 0.02, y + 0.07), xytext=(x + 0.02, y - 0.12), zorder=3,
                      arrowprops=_way(step) | {"connectionstyle": "arc3,rad=-1.6"})  # fmt: skip
    _label(axes, x + BESIDE, y - 0.03, _beside(step), step, ha="left")


def _is_loop(step: Step) -> bool:
    return step.source == step.target and step.kind != "state"


def _beside(step: Step) -> str:
    """The words beside a loop."""
    return _short(f"{step.label}: {step.note}" if step.note else step.label, 70)


def _arrow(axes: Axes, step: Step, start: float, end: float, y: float) -> None:
    towards = 1 if end > start else -1
    way = _way(step)
    axes.plot([start, end - 0.04 * towards], [y, y], color=way["color"], lw=way["lw"],
              linestyle=way["linestyle"], zorder=4)  # fmt: skip
    # The head by itself: it would be dashed, too.
    axes.annotate("", xy=(end, y), xytext=(end - 0.05 * towards, y), zorder=4,
                  arrowprops=way | {"linestyle": "solid"})  # fmt: skip
    _label(axes, _middle(start, end), y - 0.1, _above(step), step)
    if step.note:
        _label(axes, _middle(start, end), y + 0.1, _beneath(step), step, size=NOTE_SIZE)
    if step.status == "dead":
        axes.plot([end - 0.12 * towards], [y], "X", ms=9, color=palette.RED, zorder=5)
    if step.kind == "mail":
        _envelope(axes, end, y + 0.07)  # beneath the words, which may be longer than the arrow


def _middle(start: float, end: float) -> float:
    """Where the words of an arrow are: in the first gap it crosses, beside who says it."""
    return start + APART / 2 * (1 if end > start else -1)


def _above(step: Step) -> str:
    status = "" if step.status in ("done", "dead") else f" ({step.status})"
    return _short(step.label, 40) + status


def _beneath(step: Step) -> str:
    return _short(step.note, 48)


def _way(step: Step) -> dict:
    """How the line of an arrow looks."""
    hollow = step.kind == "answer" or step.status == "awaited"
    return {"arrowstyle": "->" if hollow else "-|>", "color": _colour(step), "lw": 1.3,
            "linestyle": STYLES.get(step.status, "solid"), "shrinkA": 0, "shrinkB": 0,
            "mutation_scale": 11}  # fmt: skip


def _colour(step: Step) -> str:
    by_status = {"awaited": palette.GREY, "dead": palette.RED, "retried": palette.ORANGE}
    return by_status.get(step.status, COLOURS.get(step.kind, palette.INK))


def _label(
    axes: Axes, x: float, y: float, text: str, step: Step, size: float = SIZE, ha: str = "center"
) -> None:
    """Words are dark enough to be read: the colour is the line's."""
    colour = palette.GREY if step.status == "awaited" or size < SIZE else palette.INK
    axes.text(x, y, text, ha=ha, va="center", size=size, color=colour, zorder=3, bbox=_LABEL_BOX)


def _envelope(axes: Axes, x: float, y: float) -> None:
    """An e-mail, lying on the lifeline."""
    left, right, top, bottom = x + 0.04, x + 0.32, y - 0.1, y + 0.1
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    flap = [(left, top), ((left + right) / 2, y + 0.02), (right, top)]
    for (x0, y0), (x1, y1) in (*pairwise(corners), *pairwise(flap)):
        axes.plot([x0, x1], [y0, y1], color=palette.PURPLE, lw=1.1, zorder=5)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
