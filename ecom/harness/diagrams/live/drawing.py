"""A glance as SVG: drawn by hand, since it is drawn four times a second. Lengths are pixels."""

import base64
from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise

from ecom.harness.diagrams import palette
from ecom.harness.diagrams.live.glance import WAITING, Glance

WIDTH, HEIGHT = 760, 252
PLOT = (470, 62, 270, 58)  # the sparkline: left, top, width, height
EVERY = 0.25  # seconds between two glances
SHOWN = 60  # glances in the sparkline: a quarter of a minute
BAR = 220  # the longest bar of orders
NUMBER = 52  # the room for a number, and for the bar before it
COLOURS = {"PENDING": palette.GREY, "CONFIRMED": palette.SUCCESS, "CANCELLED": palette.FAILURE}
WAITS = {"retries": palette.RETRY, "dead": palette.FAILURE}


def as_svg(glances: Sequence[Glance]) -> str:
    """The last of some glances, and the events a second of all (if there are several)."""
    now = glances[-1]
    parts = [_text(16, 24, "Orders", "bold"), *_orders(now), *_waiting(now)]
    if len(glances) > 1:
        parts += _pace([glance.said for glance in glances[-SHOWN:]])
    said = f"<title>{escape(now.text.splitlines()[0])}</title><desc>{escape(now.text)}</desc>"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="DejaVu Sans, Verdana, sans-serif" '
        f'font-size="12">{said}<rect width="100%" height="100%" rx="6" fill="{palette.PAPER}"/>'
        f"{''.join(parts)}</svg>"
    )


def as_image(glances: Sequence[Glance]) -> str:
    """The same as HTML that also notebooks show which trust nobody: an image, with its words."""
    picture = base64.b64encode(as_svg(glances).encode()).decode()
    return (f'<img width="{WIDTH}" height="{HEIGHT}" alt="{escape(glances[-1].text)}" '
            f'src="data:image/svg+xml;base64,{picture}"/>')  # fmt: skip


def _orders(now: Glance) -> Iterator[str]:
    """A bar for each state."""
    for i, (state, count) in enumerate(now.orders.items()):
        y, length = 40 + 28 * i, BAR * count / max(1, now.total)
        yield _text(16, y + 14, state)
        yield _box(100, y, length, 20, COLOURS.get(state, palette.PURPLE))
        yield _text(108 + length, y + 14, f"{count:,}", "bold")


def _pace(said: list[int]) -> Iterator[str]:
    """Events a second: a line, and the latest number."""
    left, top, width, height = PLOT
    rates = [(after - before) / EVERY for before, after in pairwise(said)]
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


def _waiting(now: Glance) -> Iterator[str]:
    """What waits: a row for each service, a column for each kind."""
    yield _box(16, 132, WIDTH - 32, 1, palette.GREY)
    yield _text(16, 152, "Waiting", "bold")
    columns = {kind: 250 + 122 * i for i, kind in enumerate(WAITING)}
    most = max([*(n for counts in now.services.values() for n in counts.values()), 1])
    for kind, x in columns.items():
        yield _text(x, 152, WAITING[kind], colour=palette.GREY, anchor="end")
    for i, service in enumerate(now.services):
        y = 160 + 17 * i
        yield _text(16, y + 12, service)
        for kind, x in columns.items():
            yield from _cell(kind, now.services[service][kind], x, y, most)


def _cell(kind: str, count: int, x: float, y: float, most: int) -> Iterator[str]:
    """A number, and a bar that ends at it: its share of the most that waits anywhere."""
    length = max(1.5, NUMBER * count / most)
    if count:
        yield _box(x - NUMBER - length, y + 2, length, 11, WAITS.get(kind, palette.SKY))
    yield _text(x, y + 12, f"{count:,}" if count else "·", "bold" if count else "", "end")


def _text(
    x: float, y: float, words: str, weight: str = "", anchor: str = "", colour: str = palette.INK
) -> str:
    style = (f' font-weight="{weight}"' if weight else "") + (
        f' text-anchor="{anchor}"' if anchor else "")  # fmt: skip
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}"{style}>{escape(words)}</text>'


def _box(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height}" fill="{colour}"/>'
