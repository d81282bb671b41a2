"""A glance as SVG: drawn by hand, since it is drawn four times a second. Lengths are pixels."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

from ecom.harness.diagrams import palette

WIDTH = 640
PLOT = (400, 62, 224, 58)  # the sparkline: left, top, width, height
SHOWN = 60  # rates in the sparkline
BAR = 180  # the longest bar
ABOVE, BAR_ROW, ROW = 132, 28, 17  # the height above what waits, at least; of lines
FIRST, APART = 205, 103  # columns
NUMBER, SHARE = 58, 40  # in each, the room for a number, and for a bar before it


class Bar(NamedTuple):
    """How many there are of something."""

    name: str
    count: int
    colour: str


@dataclass(frozen=True)
class Board:
    """What is to be seen; `text` says it in words, its first line being the title."""

    text: str
    heading: str  # of the bars
    bars: Sequence[Bar]
    waiting: Mapping[str, Sequence[Bar]]  # for each service, in the same order
    rates: Sequence[float]  # events a second, the latest last


def as_svg(board: Board) -> str:
    """The picture, with its words for those who do not see it."""
    middle = max(ABOVE, 48 + BAR_ROW * len(board.bars))
    height = middle + 35 + ROW * len(board.waiting)
    parts = [_text(16, 24, board.heading, "bold"), *_bars(board.bars)]
    parts += _waiting(board.waiting, middle)
    if board.rates:
        parts += _pace(board.rates[-SHOWN:])
    title, words = escape(board.text.splitlines()[0]), escape(board.text)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="{palette.FONT}, Verdana, sans-serif" '
        f'font-size="12"><title>{title}</title><desc>{words}</desc>'
        f'<rect width="100%" height="100%" rx="6" fill="{palette.PAPER}"/>{"".join(parts)}</svg>'
    )


def as_image(board: Board) -> str:
    """The same as HTML that also notebooks show which trust nobody: an image, with its words."""
    picture = base64.b64encode(as_svg(board).encode()).decode()
    source = f'src="data:image/svg+xml;base64,{picture}"'
    return f'<img width="{WIDTH}" alt="{escape(board.text)}" {source}/>'


def _bars(bars: Sequence[Bar]) -> Iterator[str]:
    total = max(1, sum(bar.count for bar in bars))
    for i, bar in enumerate(bars):
        y, length = 40 + BAR_ROW * i, BAR * bar.count / total
        yield _text(16, y + 14, bar.name)
        yield _box(100, y, length, 20, bar.colour)
        yield _text(108 + length, y + 14, f"{bar.count:,}", "bold")


def _pace(rates: Sequence[float]) -> Iterator[str]:
    """Events a second: a line, and the latest number."""
    left, top, width, height = PLOT
    most = max([*rates, 1.0])
    step = width / (SHOWN - 1)
    start = left + width - step * (len(rates) - 1)
    points = [(start + i * step, top + height * (1 - rate / most)) for i, rate in enumerate(rates)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    area = f"{points[0][0]:.1f},{top + height} {line} {left + width},{top + height}"
    yield _text(left, 24, "Events a second", "bold")
    yield _text(left + width, 24, f"{rates[-1]:,.0f}", "bold", "end")
    yield f'<polygon points="{area}" fill="{palette.SKY}" fill-opacity="0.3"/>'
    yield f'<polyline points="{line}" fill="none" stroke="{palette.BLUE}" stroke-width="1.8"/>'
    yield _box(left, top + height, width, 1, palette.GREY)
    yield _text(left + width, top - 8, f"at most {most:,.0f}", colour=palette.GREY, anchor="end")


def _waiting(waiting: Mapping[str, Sequence[Bar]], top: float) -> Iterator[str]:
    """What waits: a row for each service, a column for each kind."""
    yield _box(16, top, WIDTH - 32, 1, palette.GREY)
    yield _text(16, top + 20, "Waiting", "bold")
    most = max([bar.count for bars in waiting.values() for bar in bars], default=0)
    for row, (service, bars) in enumerate(waiting.items()):
        y = top + 40 + ROW * row
        yield _text(16, y, service)
        for column, bar in enumerate(bars):
            x = FIRST + APART * column
            if row == 0:
                yield _text(x, top + 20, bar.name, colour=palette.GREY, anchor="end")
            yield from _cell(bar, x, y, max(most, 1))


def _cell(bar: Bar, x: float, y: float, most: int) -> Iterator[str]:
    """A number, and a bar that ends at it: its share of the most that waits anywhere."""
    length = max(1.5, SHARE * bar.count / most)
    if bar.count:
        yield _box(x - NUMBER - length, y - 10, length, 11, bar.colour)
    number, weight = (f"{bar.count:,}", "bold") if bar.count else ("·", "")
    yield _text(x, y, number, weight, "end")


def _text(
    x: float, y: float, words: str, weight: str = "", anchor: str = "", colour: str = palette.INK
) -> str:
    style = f' font-weight="{weight}"' if weight else ""
    style += f' text-anchor="{anchor}"' if anchor else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}"{style}>{escape(words)}</text>'


def _box(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height}" fill="{colour}"/>'
