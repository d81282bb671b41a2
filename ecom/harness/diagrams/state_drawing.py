"""How a state machine is drawn: from left to right, in inches from the upper left corner down."""

from typing import NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from ecom.harness.diagrams import palette
from ecom.harness.diagrams.layout import Edge, Layout, Node, layered
from ecom.harness.diagrams.rendering import width_of_text
from ecom.harness.diagrams.states import StateMachine
from ecom.sagas.choreography import choreography
from ecom_lab.docs.seen import NOTHING

_KEYS = choreography().contract.by_key

SIZE, LINE = 8.5, 0.165  # of a label: points; inches from line to line
BOX, DOT = 0.34, 0.07  # the height of a state's box; the radius of the dot that all begins with
EDGE, BETWEEN, HEAD, FOOT = 0.2, 0.17, 0.55, 0.5


class Label(NamedTuple):
    """What is written at an arrow."""

    source: str
    target: str
    lines: tuple[str, ...]


def draw(machine: StateMachine) -> Figure:
    """The figure of a state machine."""
    edges = [Edge(one, other, Label(one, other, tuple(words)))
             for (one, other), words in machine.words.items()]  # fmt: skip
    sizes = {node: _size(node) for edge in edges for node in edge}
    layout = layered(edges, {node: height for node, (_, height) in sizes.items()})
    x, width = _columns(layout, sizes)
    height = HEAD + layout.height + FOOT
    with matplotlib.rc_context({"font.family": palette.FONT, "font.size": SIZE}):
        figure = Figure(figsize=(width, height), facecolor=palette.PAPER)
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        axes.axis("off")
        axes.text(0.15, 0.22, machine.title, weight="bold", size=10, color=palette.INK, va="center")
        axes.text(0.15, height - 0.18, KEY, size=7.5, color=palette.GREY, va="center")
        at = {node: (x[node], layout.y[node] + HEAD) for node in layout.y}
        for edge, way in layout.ways.items():
            _arrow(axes, edge, way, at, sizes)
        for node in dict.fromkeys(node for edge in edges for node in edge):
            _node(axes, node, at[node], sizes[node], node in machine.final)
    return figure


KEY = "blue: an event is heard · slanted: a command, an answer, a deadline · double frame: the end"


def _size(node: Node) -> tuple[float, float]:
    """Width and height."""
    if isinstance(node, Label):
        widest = max(width_of_text(line, SIZE, style=_style(line)) for line in node.lines)
        return widest + 0.12, LINE * len(node.lines) + 0.06
    if node == NOTHING:
        return 2 * DOT, 2 * DOT
    return width_of_text(node, SIZE, weight="bold") + 0.3, BOX


def _style(line: str) -> str:
    return "normal" if line in _KEYS else "italic"


def _columns(layout: Layout, sizes: dict) -> tuple[dict[Node, float], float]:
    """The middle of each node, from the left; and the width of all. Bends get their column's width,
    so that no line turns where a label beside it might be."""
    x, left = {}, EDGE
    for column in layout.columns:
        widest = max(sizes.get(node, (0, 0))[0] for node in column)
        for node in column:
            x[node] = left + widest / 2
            sizes.setdefault(node, (widest, 0))
        left += widest + BETWEEN
    return x, left - BETWEEN + EDGE


def _arrow(axes: Axes, edge: Edge, way: list[Node], at: dict, sizes: dict) -> None:
    """A smooth line behind the labels, level where it leaves, passes a label, and arrives."""
    (x, y), (end, end_y) = at[edge.source], at[edge.target]
    x, end = x + sizes[edge.source][0] / 2, end - sizes[edge.target][0] / 2
    points, codes = [(x, y)], [Path.MOVETO]
    for node in way[1:-1]:
        middle, level = at[node]
        half = sizes[node][0] / 2
        _curve(points, codes, (middle - half, level))
        points.append((middle + half, level))
        codes.append(Path.LINETO)
    _curve(points, codes, (end, end_y))
    axes.add_patch(FancyArrowPatch(path=Path(points, codes), arrowstyle="-|>", mutation_scale=11,
                                   color=palette.GREY, lw=1.1, zorder=2))  # fmt: skip


def _curve(points: list, codes: list, to: tuple[float, float]) -> None:
    x, y = points[-1]
    bend = (to[0] - x) / 2
    points += [(x + bend, y), (to[0] - bend, to[1]), to]
    codes += [Path.CURVE4] * 3


def _node(axes: Axes, node: Node, at: tuple[float, float], size: tuple, final: bool) -> None:
    if isinstance(node, Label):
        _label(axes, node, at, size)
    elif node == NOTHING:
        axes.plot(*at, "o", ms=9, color=palette.INK, zorder=4)
    else:
        _box(axes, at, size, palette.PALE if final else palette.CREAM)
        if final:
            _box(axes, at, (size[0] - 0.07, size[1] - 0.07), "none")
        axes.text(
            *at, node, ha="center", va="center_baseline", weight="bold", color=palette.INK, zorder=5
        )


def _box(axes: Axes, at: tuple[float, float], size: tuple[float, float], colour: str) -> None:
    (x, y), (width, height) = at, size
    style = "round,pad=0,rounding_size=0.09"
    axes.add_patch(FancyBboxPatch((x - width / 2, y - height / 2), width, height, boxstyle=style,
                                  fc=colour, ec=palette.INK, lw=0.9, zorder=4))  # fmt: skip


def _label(axes: Axes, label: Label, at: tuple[float, float], size: tuple[float, float]) -> None:
    (x, y), (width, height) = at, size
    corner = (x - width / 2, y - height / 2)
    axes.add_patch(FancyBboxPatch(corner, width, height, boxstyle="square,pad=0",
                                  fc=palette.PAPER, ec="none", zorder=3))  # fmt: skip
    for i, line in enumerate(label.lines):
        level = y + (i - (len(label.lines) - 1) / 2) * LINE
        colour = palette.BLUE if line in _KEYS else palette.INK
        axes.text(
            x, level, line, ha="center", va="center", color=colour, style=_style(line), zorder=5
        )
