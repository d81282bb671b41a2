"""How the timeline is drawn: a band for each outcome, a line for each order. Lengths are inches."""

from collections.abc import Iterator
from statistics import median

import matplotlib
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from ecom.harness.diagrams import palette
from ecom.harness.diagrams.timeline import CONFIRMED, OPEN, Strip, Timeline

WIDTH, LEFT, RIGHT = 8.3, 0.25, 1.85  # at the right, the bands' names
HEAD, FOOT = 0.5, 0.55
ROW, MOST = 0.16, 4.4  # an order's height, and that of all of them, at most
BAND, GAP = 0.36, 0.1  # a band's height, at least; between bands

COLOURS = {CONFIRMED: palette.SUCCESS, OPEN: palette.GREY}  # all others failed, or were undone


def draw(timeline: Timeline) -> Figure:
    """The figure of a timeline."""
    tops, total = _tops(timeline)
    height = HEAD + total + FOOT
    now = max((strip.lasts_until(strip.confirmed or 0) for strip in timeline.strips), default=0.0)
    with matplotlib.rc_context({"font.family": palette.FONT, "font.size": 8.5}):
        figure = Figure(figsize=(WIDTH, height), facecolor=palette.PAPER)
        figure.text(0.15 / WIDTH, 1 - 0.22 / height, timeline.title, weight="bold", size=10,
                    color=palette.INK, va="center")  # fmt: skip
        size = (WIDTH - LEFT - RIGHT) / WIDTH, total / height
        axes = figure.add_axes((LEFT / WIDTH, FOOT / height, *size))
        axes.set(xlim=(0, now * 1.01 or 1), ylim=(total, 0), yticks=[])
        axes.set_xlabel("seconds after the first order was accepted", color=palette.INK)
        axes.spines[["top", "left", "right"]].set_visible(False)
        for (name, band), (top, tall) in zip(timeline.bands.items(), tops, strict=True):
            _band(axes, name, band, top, tall, now)
    return figure


def _tops(timeline: Timeline) -> tuple[list[tuple[float, float]], float]:
    """The top and height of each band; and of all."""
    row = min(ROW, MOST / max(1, len(timeline.strips)))
    found, top = [], 0.0
    for band in timeline.bands.values():
        tall = max(BAND, row * len(band))
        found.append((top, tall))
        top += tall + GAP
    return found, max(top, BAND)


def _band(axes: Axes, name: str, band: list[Strip], top: float, tall: float, now: float) -> None:
    row = tall / len(band)
    places = [top + (i + 0.5) * row for i in range(len(band))]
    for colour, style, part in _parts(name, band, places, now):
        axes.add_collection(LineCollection(
            part, colors=colour, linestyles=style, lw=_thick(row)))  # fmt: skip
    axes.text(1.02, top + tall / 2, _said(name, band), transform=axes.get_yaxis_transform(),
              va="center", color=palette.INK, linespacing=1.4)  # fmt: skip
    axes.plot([1.008] * 2, [top, top + tall], lw=3, color=COLOURS.get(name, palette.FAILURE),
              transform=axes.get_yaxis_transform(), clip_on=False,
              solid_capstyle="butt")  # fmt: skip


def _thick(row: float) -> float:
    """The width of a line in points: with paper between the lines, while there is room for it."""
    return min(5, row * 72 * 0.7) if row > 0.04 else row * 72 * 1.1


def _parts(name: str, band: list[Strip], places: list[float], now: float) -> Iterator[tuple]:
    """The strips; of those that were confirmed before they were cancelled, first that part."""
    colour, style = COLOURS.get(name, palette.FAILURE), "dotted" if name == OPEN else "solid"
    at = list(zip(band, places, strict=True))
    yield colour, style, [
        [(strip.accepted if strip.confirmed is None or name == CONFIRMED else strip.confirmed, y),
         (max(strip.lasts_until(now), strip.accepted + now / 400), y)]
        for strip, y in at
    ]  # fmt: skip
    if name != CONFIRMED:
        before = [(strip, y) for strip, y in at if strip.confirmed is not None]
        yield palette.SUCCESS, "solid", [[(strip.accepted, y), (strip.confirmed, y)]
                                      for strip, y in before]  # fmt: skip


def _said(name: str, band: list[Strip]) -> str:
    times = [strip.ended - strip.accepted for strip in band if strip.ended is not None]
    typical = f"\nmedian {median(times):.2f} s" if times else ""
    return f"{len(band):,} {name}{typical}"
