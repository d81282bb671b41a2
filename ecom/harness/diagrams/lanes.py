"""How a choreography is drawn: a lane for each service, a line for each event. Lengths are inches.

No two words can meet, however many events and listeners there are, and nothing has to be laid out.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ecom.harness.diagrams import palette
from ecom.harness.diagrams.rendering import MARGIN, SMALL, paper, width_of_text, write

HEAD, ROW, FOOT = 1.0, 0.29, 0.4
NOTE = 0.14  # a line of notes
BOX = {"boxstyle": "round,pad=0.35", "fc": palette.CREAM, "ec": palette.INK, "lw": 0.9}


class Line(NamedTuple):
    """One event, from its lane to others."""

    label: str
    source: str
    targets: Sequence[str]
    colour: str


def draw(
    title: str, key: str, lanes: Mapping[str, Sequence[str]], lines: Sequence[Line], foot: str
) -> Figure:
    """The figure of some lines between lanes; `lanes` have notes beneath their names."""
    left = 2 * MARGIN + max(width_of_text(line.label) for line in lines)
    apart = 0.3 + max(width_of_text(name, weight="bold") for name in lanes)
    top = HEAD + NOTE * max(map(len, lanes.values()))
    bottom = top + ROW * len(lines)
    places = {name: left + apart * (i + 0.5) for i, name in enumerate(lanes)}
    with paper(title, left + apart * len(lanes) + MARGIN, bottom + FOOT, key) as axes:
        for name, notes in lanes.items():
            _lane(axes, places[name], name, notes, bottom)
        for i, line in enumerate(lines):
            middle = top + ROW * (i + 0.5)
            if i % 2 == 0:
                axes.axhspan(middle - ROW / 2, middle + ROW / 2, color=palette.PALE, zorder=0)
            _line(axes, line, middle, places)
        write(axes, MARGIN, bottom + FOOT / 2, foot, ha="left")
    return axes.figure


def _lane(axes: Axes, x: float, name: str, notes: Sequence[str], bottom: float) -> None:
    write(axes, x, HEAD - 0.2, name, weight="bold", bbox=BOX)
    for i, note in enumerate(notes):
        write(axes, x, HEAD + NOTE * i, note, style="italic", size=SMALL)
    axes.plot([x, x], [HEAD - NOTE / 2 + NOTE * len(notes), bottom], color=palette.LINE, lw=0.9)


def _line(axes: Axes, line: Line, y: float, places: Mapping[str, float]) -> None:
    x = places[line.source]
    write(axes, MARGIN, y, line.label, ha="left", color=line.colour)
    axes.plot([x], [y], "o", ms=6, color=line.colour, zorder=5)
    for target in line.targets:
        way = {"arrowstyle": "-|>", "color": line.colour, "lw": 1.4, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", xy=(places[target], y), xytext=(x, y), arrowprops=way)
