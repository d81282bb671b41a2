"""How strips of time are drawn: a band for each outcome, a line for each strip. In inches."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from ecom.harness.diagrams.rendering import paper

WIDTH, LEFT, RIGHT = 6.4, 0.25, 1.85  # at the right, the bands' names
HEAD, FOOT = 0.5, 0.55
ROW, MOST = 0.16, 4.4  # a strip's height, and that of all of them, at most
BAND, GAP = 0.36, 0.1  # a band's height, at least; between bands


class Part(NamedTuple):
    """A part of a strip, in seconds."""

    start: float
    end: float
    colour: str


class Band(NamedTuple):
    """Strips of one outcome; those of an open band have not ended."""

    words: str
    colour: str
    is_open: bool
    strips: Sequence[Sequence[Part]]


def draw(title: str, bands: Sequence[Band], meaning: str) -> Figure:
    """The figure of some bands; `meaning` is that of the seconds."""
    row = min(ROW, MOST / max(1, sum(len(band.strips) for band in bands)))
    heights = [max(BAND, row * len(band.strips)) for band in bands]
    total = max(BAND, sum(heights) + GAP * len(bands))
    height = HEAD + total + FOOT
    ends = [part.end for band in bands for strip in band.strips for part in strip]
    last = max(ends, default=0.0)
    with paper(title, WIDTH, height) as page:
        size = (WIDTH - LEFT - RIGHT) / WIDTH, total / height
        axes = page.figure.add_axes((LEFT / WIDTH, FOOT / height, *size))
        axes.set(xlim=(0, last * 1.01 or 1), ylim=(total, 0), yticks=[], xlabel=meaning)
        axes.spines[["top", "left", "right"]].set_visible(False)
        top = 0.0
        for band, tall in zip(bands, heights, strict=True):
            _band(axes, band, top, tall, shortest=last / 400)
            top += tall + GAP
    return page.figure


def _band(axes: Axes, band: Band, top: float, tall: float, shortest: float) -> None:
    row = tall / len(band.strips)
    lines, colours = [], []
    for i, strip in enumerate(band.strips):
        y = top + (i + 0.5) * row
        lines += [[(it.start, y), (max(it.end, it.start + shortest), y)] for it in strip]
        colours += [it.colour for it in strip]
    style = "dotted" if band.is_open else "solid"
    axes.add_collection(LineCollection(lines, colors=colours, linestyles=style, lw=_thick(row)))
    beside = axes.get_yaxis_transform()
    axes.text(1.02, top + tall / 2, band.words, transform=beside, va="center", linespacing=1.4)
    mark = {"lw": 3, "solid_capstyle": "butt", "clip_on": False, "transform": beside}
    axes.plot([1.008] * 2, [top, top + tall], color=band.colour, **mark)


def _thick(row: float) -> float:
    """The width of a line in points: with paper between the lines, while there is room for it."""
    return min(5, row * 72 * 0.7) if row > 0.04 else row * 72 * 1.1
