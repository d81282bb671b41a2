"""State machines: the states that the rows of a saga's tables go through, and what leads there.

Drawn with states as boxes, in rows from top to bottom, a small relative of Sugiyama's way: after
"Methods for Visual Understanding of Hierarchical System Structures" (1981), with what a dozen
states need. Each arrow's label is a node of its own in the row after its source, and an arrow that
is longer bends at an empty place in each row, so that no label lies on another or on a state.
Lengths are inches.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.path import Path

from ecom.contract.contract import Event
from ecom.harness.diagrams import palette
from ecom.harness.diagrams.picture import MARGIN, Picture, paper, width_of_text, write
from ecom.harness.states import hopeful, states_of
from ecom.runtime.saga import Saga
from ecom.runtime.service import NOTHING, Lifecycle
from ecom.stores.base import Row
from ecom_lab.docs.choreography import in_words

KEY = """\
blue: leads to success · orange: failed, or is undone
italic: a command, a result, a deadline · thick: an end"""
TOMBSTONE = "(tombstone)"  # what undoes was here before what it undoes

HEAD = 0.8
BOX, LINE = 0.3, 0.165  # the height of a state, and of a line of words
BESIDE, BENEATH = 0.2, 0.2  # between two nodes of a row, between two rows
ROUNDS = 8  # down and up, of putting each node beneath and above its neighbours

Place = tuple[float, float]  # right and down; also a width and a height
Arrow = tuple[str, str]  # from one state to another; also its label
Node = Hashable  # a state, a label, or a bend


class StateMachine(Picture):
    """The states of one kind of rows, as their service declares them."""

    def __init__(self, row: type[Row], lifecycle: Lifecycle) -> None:
        name = row.__name__.lower()
        self.title = f"The states of {'an' if name[0] in 'aeiou' else 'a'} {name}"
        self.lifecycle = lifecycle

    @cached_property
    def arrows(self) -> dict[Arrow, list[str]]:
        """What leads from one state (`NOTHING`: no row) to another, in words."""
        found: dict[Arrow, list[str]] = {}
        for before, message, after in self.lifecycle.transitions:
            words = found.setdefault((before, after), [])
            words.append(in_words(message))
            if before == NOTHING and issubclass(message, Event) and message.failure:
                words.append(TOMBSTONE)
        return found

    @property
    def text(self) -> str:
        """A line for each arrow."""
        lines = [
            f"  {before or '·':>10} → {after:<10} {', '.join(words)}"
            for (before, after), words in self.arrows.items()
        ]
        return "\n".join([f"{self.title}: {', '.join(states_of(self.lifecycle))}", *lines])

    def figure(self) -> Figure:
        sizes: dict[Node, Place] = {
            arrow: (max(map(width_of_text, lines)), LINE * len(lines))
            for arrow, lines in self.arrows.items()
        }
        states = states_of(self.lifecycle)
        sizes |= {state: (width_of_text(state, weight="bold") + 0.2, BOX) for state in states}
        middles, ways = layered(self.arrows, sizes)
        at = {node: (MARGIN + x, HEAD + y) for node, (x, y) in middles.items()}
        width = max(x + sizes.get(node, (0, 0))[0] / 2 for node, (x, _) in at.items()) + MARGIN
        height = max(at[node][1] + tall / 2 for node, (_, tall) in sizes.items()) + MARGIN
        with paper(self.title, width, height, KEY) as axes:
            for arrow, way in ways.items():
                _arrow(axes, [at[node] for node in way], self._colour(arrow[1]))
                self._label(axes, at[arrow], arrow)
            axes.plot(*at[NOTHING], "o", ms=9, color=palette.INK, zorder=4)
            for state in states:
                self._state(axes, at[state], state)
        return axes.figure

    def _colour(self, state: str) -> str:
        return palette.SUCCESS if state in hopeful(self.lifecycle) else palette.FAILURE

    def _label(self, axes: Axes, at: Place, arrow: Arrow) -> None:
        box = {"boxstyle": "square,pad=0.3", "fc": palette.PAPER, "ec": "none"}
        lines = self.arrows[arrow]
        for i, line in enumerate(lines):
            y = at[1] + (i - (len(lines) - 1) / 2) * LINE
            look = {"color": self._colour(arrow[1]), "bbox": box, "zorder": 3}
            style = "normal" if "." in line else "italic"  # a dot is in an event's key alone
            write(axes, at[0], y, line, style=style, **look)

    def _state(self, axes: Axes, at: Place, state: str) -> None:
        is_end = all(before != state for before, _ in self.arrows)
        box = {"boxstyle": "round,pad=0.45", "fc": palette.CREAM, "ec": self._colour(state)}
        look = {"weight": "bold", "bbox": box | {"lw": 2.5 if is_end else 1.0}}
        write(axes, *at, state, zorder=4, **look)


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


def state_machines(saga: Saga) -> dict[str, StateMachine]:
    """The state machine of each table whose rows have declared states; by the table's name."""
    return {
        row.table: StateMachine(row, lifecycle)
        for service in saga.services.values()
        for row, lifecycle in service.transitions.items()
    }


# ── where to draw what ────────────────────────────────────────────────────────────────────────
def layered(
    arrows: Iterable[Arrow], sizes: Mapping[Node, Place]
) -> tuple[dict[Node, Place], dict[Arrow, list[Node]]]:
    """Where the middle of each node is, and what nodes each arrow passes; `sizes` are the widths
    and heights of states and labels.

    A state stands beneath those that lead to it and were named before it. So an arrow to one that
    was named before its source leads back up: circles are welcome.
    """
    arrows = list(arrows)
    row = _rows(arrows)
    ways = {arrow: _way(arrow, row) for arrow in arrows}
    rows: list[list[Node]] = [[] for _ in range(max(row.values()) + 1)]
    for node, i in row.items():
        rows[i].append(node)
    widths = {node: sizes.get(node, (0, 0))[0] for node in row}
    x = _across(rows, ways.values(), widths)
    left = min(x[node] - widths[node] / 2 for node in x)
    at, y = {}, 0.0
    for nodes in rows:
        height = max(sizes.get(node, (0, 0))[1] for node in nodes)
        at |= {node: (x[node] - left, y + height / 2) for node in nodes}
        y += height + BENEATH
    return at, ways


def _rows(arrows: list[Arrow]) -> dict[Node, int]:
    """The row of each state: an even one, the labels being between."""
    named = {name: i for i, name in enumerate(dict.fromkeys(sum(arrows, ())))}
    row: dict[Node, int] = dict.fromkeys(named, 0)
    for source, target in sorted(arrows, key=lambda arrow: named[arrow[0]]):
        if named[source] < named[target]:
            row[target] = max(row[target], row[source] + 2)
    return row


def _way(arrow: Arrow, row: dict[Node, int]) -> list[Node]:
    """The nodes that an arrow passes; gives its label and its bends a row."""
    start, end = (row[state] for state in arrow)
    step = -1 if end < start else 1
    first, *others = range(start + step, end, step) or [start + 1]
    bends = {(arrow, i): i for i in others}
    row |= {arrow: first} | bends
    return [arrow[0], arrow, *bends, arrow[1]]


def _across(
    rows: Sequence[list[Node]], ways: Iterable[list[Node]], widths: Mapping[Node, float]
) -> dict[Node, float]:
    """Each node as near as can be to the middle of its neighbours."""
    near: dict[Node, list[Node]] = {}
    for one, other in (pair for way in ways for pair in pairwise(way)):
        near.setdefault(one, []).append(other)
        near.setdefault(other, []).append(one)
    x: dict[Node, float] = {}
    for nodes in (*rows, *rows[::-1]) * ROUNDS:
        wish = {node: fmean([x[each] for each in near[node] if each in x] or [0]) for node in nodes}
        nodes.sort(key=wish.__getitem__)
        x[nodes[0]] = wish[nodes[0]]
        for one, other in pairwise(nodes):
            x[other] = max(wish[other], x[one] + BESIDE + (widths[one] + widths[other]) / 2)
        off = fmean(x[node] - wish[node] for node in nodes)
        x |= {node: x[node] - off for node in nodes}
    return x
