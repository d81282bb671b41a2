"""State machines: the states that the rows of a saga's tables go through, and what leads there.

Drawn with states as boxes, from top to bottom. Lengths are inches.
"""

from functools import cached_property
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.path import Path

from ecom.contract.contract import Event
from ecom.harness.diagrams import palette
from ecom.harness.diagrams.picture import Picture
from ecom.harness.diagrams.rendering import MARGIN, paper, width_of_text, write
from ecom.harness.lifecycles import hopeful, states_of
from ecom.runtime.saga import Saga
from ecom.runtime.service import NOTHING, Lifecycle
from ecom.stores.base import Row
from ecom_lab.docs.choreography import in_words
from ecom_lab.docs.graph import Arrow, Node, layered

KEY = """\
blue: leads to success · orange: failed, or is undone
italic: a command, a result, a deadline · thick: an end"""
TOMBSTONE = "(tombstone)"  # what undoes was here before what it undoes

HEAD = 0.8
BOX, LINE = 0.3, 0.165  # the height of a state, and of a line of words

Place = tuple[float, float]


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
        """A new matplotlib figure of it."""
        sizes: dict[Node, Place] = {
            arrow: (max(map(width_of_text, lines)), LINE * len(lines))
            for arrow, lines in self.arrows.items()
        }
        states = states_of(self.lifecycle)
        sizes |= {state: (width_of_text(state, weight="bold") + 0.2, BOX) for state in states}
        layout = layered(self.arrows, sizes)
        at = {node: (MARGIN + x, HEAD + y) for node, (x, y) in layout.at.items()}
        width, height = layout.width + 2 * MARGIN, HEAD + layout.height + MARGIN
        with paper(self.title, width, height, KEY) as axes:
            for arrow, way in layout.ways.items():
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
        messages = (message for _, message, _ in self.lifecycle.transitions)
        events = {message.key for message in messages if issubclass(message, Event)}
        lines = self.arrows[arrow]
        for i, line in enumerate(lines):
            y = at[1] + (i - (len(lines) - 1) / 2) * LINE
            look = {"color": self._colour(arrow[1]), "bbox": box, "zorder": 3}
            write(axes, at[0], y, line, style="normal" if line in events else "italic", **look)

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
