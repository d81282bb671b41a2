"""How a sequence diagram is drawn. All lengths are inches, from the upper left corner down."""

import io
import struct
from html import escape
from itertools import pairwise

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from ecom.history import palette
from ecom.history.diagram import Diagram, Step

APART = 1.55  # between lifelines
EDGE = 0.8  # from the outer lifelines to the edge
HEAD, FOOT = 0.95, 0.25
LETTER = 0.07  # at most, on average
SHOWN_DPI, PNG_DPI = 96, 192
PNG_COLOURS = 255  # a palette makes a third of the bytes

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
    width = max([2 * EDGE + APART * max(1, len(lifelines) - 1), LETTER * len(diagram.title) + 0.4]
                + [places[step.source] + 0.4 + LETTER * len(_beside(step))
                   for step in diagram.steps if _is_loop(step)])  # fmt: skip
    height = HEAD + sum(heights) + FOOT
    with matplotlib.rc_context({"font.family": palette.FONT, "font.size": 8.5}):
        figure = Figure(figsize=(width, height), facecolor=palette.PAPER)
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        axes.axis("off")
        axes.text(0.15, 0.22, diagram.title, weight="bold", size=10, color=palette.INK, va="center")
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
    text = f"{step.label} ({step.note})" if step.note else step.label
    axes.text(
        x, y, text, ha="center", va="center", size=7.5, color=palette.INK, zorder=5, bbox=_STATE_BOX
    )


def _loop(axes: Axes, step: Step, x: float, y: float) -> None:
    """Something that happens at one lifeline: a retry, a timer, a dead letter."""
    colour = _colour(step)
    if step.kind in ("dead", "crash"):
        axes.plot([x], [y - 0.03], "X", ms=9, color=colour, mec=palette.PAPER, mew=0.5, zorder=5)
    else:
        axes.annotate("", xy=(x + 0.02, y + 0.07), xytext=(x + 0.02, y - 0.12), zorder=3,
                      arrowprops=_way(step) | {"connectionstyle": "arc3,rad=-1.6"})  # fmt: skip
    _label(axes, x + 0.25, y - 0.03, _beside(step), step, ha="left")


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
    middle = start + towards * APART / 2
    status = "" if step.status in ("done", "dead") else f" ({step.status})"
    _label(axes, middle, y - 0.1, _short(step.label, 40) + status, step)
    if step.note:
        _label(axes, middle, y + 0.1, _short(step.note, 48), step, size=7)
    if step.status == "dead":
        axes.plot([end - 0.12 * towards], [y], "X", ms=9, color=palette.RED, zorder=5)
    if step.kind == "mail":
        _envelope(axes, end, y)


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
    axes: Axes, x: float, y: float, text: str, step: Step, size: float = 8.5, ha: str = "center"
) -> None:
    """Words are dark enough to be read: the colour is the line's."""
    colour = palette.GREY if step.status == "awaited" or size < 8 else palette.INK
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


def to_png(figure: Figure) -> bytes:
    """The figure as PNG; the same bytes for the same figure."""
    drawn, file = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=PNG_DPI)
    Image.open(drawn).convert("RGB").quantize(PNG_COLOURS).save(file, "PNG", optimize=True)
    return file.getvalue()


def width_of(png: bytes) -> int:
    """The width in CSS pixels at which a PNG of ours is meant to be shown."""
    return struct.unpack(">I", png[16:20])[0] * SHOWN_DPI // PNG_DPI


def to_svg(figure: Figure, title: str, description: str) -> str:
    """The figure as SVG, with title and description for those who do not see it."""
    file = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "ecom"}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    _, _, body = file.getvalue().partition("<svg ")
    attributes, _, rest = body.partition(">")
    words = f"<title>{escape(title)}</title><desc>{escape(description)}</desc>"
    return f'<svg role="img" {attributes}>\n{words}{rest}'
