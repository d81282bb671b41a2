"""How a state machine is drawn: states as boxes, from top to bottom. Lengths are inches."""

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.path import Path

from ecom.harness.diagrams import palette
from ecom.harness.diagrams.graph import Arrow, Node, layered
from ecom.harness.diagrams.rendering import MARGIN, paper, width_of_text, write

HEAD = 0.8
BOX, LINE = 0.3, 0.165  # the height of a state, and of a line of words

Place = tuple[float, float]


def draw(
    title: str,
    key: str,
    arrows: Mapping[Arrow, Sequence[str]],
    colours: Mapping[str, str],
    slanted: Collection[str],
) -> Figure:
    """The figure of arrows from state to state, and the lines of words at each.

    `colours` are the states', and those of the arrows to them. A state without is the beginning.
    """
    sizes: dict[Node, Place] = {
        arrow: (max(map(width_of_text, lines)), LINE * len(lines))
        for arrow, lines in arrows.items()
    }
    sizes |= {state: (width_of_text(state, weight="bold") + 0.2, BOX) for state in colours}
    layout = layered(arrows, sizes)
    at = {node: (MARGIN + x, HEAD + y) for node, (x, y) in layout.at.items()}
    width, height = layout.width + 2 * MARGIN, HEAD + layout.height + MARGIN
    with paper(title, width, height, key) as axes:
        for arrow, way in layout.ways.items():
            colour = colours[arrow[1]]
            _arrow(axes, [at[node] for node in way], colour)
            _label(axes, at[arrow], arrows[arrow], colour, slanted)
        for state in dict.fromkeys(state for arrow in arrows for state in arrow):
            if state in colours:
                is_end = all(source != state for source, _ in arrows)
                _state(axes, at[state], state, colours[state], is_end)
            else:
                axes.plot(*at[state], "o", ms=9, color=palette.INK, zorder=4)
    return axes.figure


def _arrow(axes: Axes, points: list[Place], colour: str) -> None:
    """From the edge of one state, behind its label, to the edge of another; upright at each."""
    down, on = (1 if b > a else -1 for (_, a), (_, b) in (points[:2], points[-2:]))
    (x, y), (end, level) = points[0], points[-1]
    points = [(x, y + down * BOX / 2), *points[1:-1], (end, level - on * (BOX / 2 + 0.02))]
    curve = [points[0]]
    for (x, y), (end, level) in pairwise(points):
        curve += [(x, (y + level) / 2), (end, (y + level) / 2), (end, level)]
    path = Path(curve, [Path.MOVETO, *[Path.CURVE4] * (len(curve) - 1)])
    style = {"arrowstyle": "-|>", "mutation_scale": 11, "color": colour, "lw": 1.2, "zorder": 2}
    axes.add_patch(FancyArrowPatch(path=path, **style))


def _label(
    axes: Axes, at: Place, lines: Sequence[str], colour: str, slanted: Collection[str]
) -> None:
    box = {"boxstyle": "square,pad=0.3", "fc": palette.PAPER, "ec": "none"}
    for i, line in enumerate(lines):
        y = at[1] + (i - (len(lines) - 1) / 2) * LINE
        style = "italic" if line in slanted else "normal"
        write(axes, at[0], y, line, color=colour, style=style, bbox=box, zorder=3)


def _state(axes: Axes, at: Place, state: str, colour: str, is_end: bool) -> None:
    box = {"boxstyle": "round,pad=0.45", "fc": palette.CREAM, "ec": colour}
    write(axes, *at, state, weight="bold", bbox=box | {"lw": 2.5 if is_end else 1.0}, zorder=4)
