"""How a timeline is drawn: a band for each outcome, a line for each order. Lengths are inches."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ecom.harness.diagrams import palette
from ecom.harness.diagrams.rendering import paper

WIDTH, LEFT, RIGHT = 6.4, 0.25, 1.85  # at the right, the bands' names
HEAD, FOOT = 0.5, 0.55
ROW, MOST = 0.16, 4.4  # a strip's height, and that of all of them, at most
BAND, GAP = 0.36, 0.1  # a band's height, at least; between bands


def draw(title: str, bands: Mapping[str, pd.DataFrame], colours: Mapping[str, str]) -> Figure:
    """The figure of a timeline's bands; those without a colour failed, or were undone.

    Orders that have not ended reach to the latest that is known.
    """
    row = min(ROW, MOST / max(1, sum(map(len, bands.values()))))
    heights = [max(BAND, row * len(band)) for band in bands.values()]
    total = max(BAND, sum(heights) + GAP * len(heights))
    height = HEAD + total + FOOT
    times = ["accepted", "confirmed", "ended"]
    now = max((float(band[times].max().max()) for band in bands.values()), default=0.0)
    with paper(title, WIDTH, height) as page:
        size = (WIDTH - LEFT - RIGHT) / WIDTH, total / height
        axes = page.figure.add_axes((LEFT / WIDTH, FOOT / height, *size))
        axes.set(xlim=(0, now * 1.01 or 1), ylim=(total, 0), yticks=[])
        axes.set_xlabel("seconds after the first order was accepted")
        axes.spines[["top", "left", "right"]].set_visible(False)
        top = 0.0
        for (name, band), tall in zip(bands.items(), heights, strict=True):
            colour = colours.get(name, palette.FAILURE)
            _band(axes, f"{len(band):,} {name}", band, colour, (top, tall), now)
            top += tall + GAP
    return page.figure


def _band(
    axes: Axes, words: str, band: pd.DataFrame, colour: str, place: tuple[float, float], now: float
) -> None:
    """Lines of one outcome; of orders that were confirmed before they were cancelled, two."""
    top, tall = place
    row, is_open = tall / len(band), band.ended.isna().all()
    style = {"linestyles": "dotted" if is_open else "solid", "lw": _thick(row)}
    y = [top + (i + 0.5) * row for i in range(len(band))]
    turn = band.confirmed.fillna(band.accepted)
    axes.hlines(y, band.accepted, turn, palette.SUCCESS, **style)
    shortest = band.accepted + now / 400  # that can still be seen
    end = band.ended.fillna(now).clip(lower=shortest)
    axes.hlines(y, turn, end, colour, **style)
    beside = axes.get_yaxis_transform()
    if not is_open:
        words += f"\nmedian {(band.ended - band.accepted).median():.2f} s"
    axes.text(1.02, top + tall / 2, words, transform=beside, va="center", linespacing=1.4)
    mark = {"lw": 3, "solid_capstyle": "butt", "clip_on": False, "transform": beside}
    axes.plot([1.008] * 2, [top, top + tall], color=colour, **mark)


def _thick(row: float) -> float:
    """The width of a line in points: with paper between the lines, while there is room for it."""
    return min(5, row * 72 * 0.7) if row > 0.04 else row * 72 * 1.1
