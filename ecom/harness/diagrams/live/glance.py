"""One glance at running sagas: how they stand and what waits where, in words and as a picture.

The SVG is drawn by hand, since it is drawn four times a second. Lengths are pixels.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import pairwise
from typing import Any

from ecom.harness.diagrams import palette
from ecom.harness.lifecycles import hopeful
from ecom.harness.progress import waits_for
from ecom.harness.quiescence import Counted, Monitor

EVERY = 0.25  # seconds between two glances
WAITING = {  # what waits, by kind (see `Look.waiting`), and where
    "unhandled": "queue",
    "unsent": "outbox",
    "effects": "effects",
    "retries": "retries",
    "dead": "dead letters",
}
_COLOURS = {"retries": palette.RETRY, "dead": palette.FAILURE}

WIDTH = 640
PLOT = (400, 62, 224, 58)  # the sparkline: left, top, width, height
SHOWN = 60  # rates in the sparkline
BAR = 180  # the longest bar
ABOVE, BAR_ROW, ROW = 132, 28, 17  # the height above what waits, at least; of lines
FIRST, APART = 205, 103  # columns
NUMBER, SHARE = 58, 40  # in each, the room for a number, and for a bar before it


@dataclass(frozen=True, repr=False)
class Glance:
    """How sagas stood at one moment; shows itself in a notebook.

    `services` is, by service, the number of each kind of `WAITING`. `is_settled` says whether all
    was done that can be done.
    """

    counted: Counted
    states: dict[str, int]
    services: dict[str, dict[str, int]]
    published: int  # events, since the databases were made
    awaited: tuple[str, ...]  # what was not done yet, a sentence each
    is_settled: bool

    @property
    def total(self) -> int:
        """Sagas ever begun."""
        return sum(self.states.values())

    def waiting(self, kind: str) -> int:
        """How much of one kind waits in all services together."""
        return sum(counts[kind] for counts in self.services.values())

    @property
    def text(self) -> str:
        """In words: the same for the same sagas, however they raced, once all is settled."""
        noun = self.counted.noun
        states = ", ".join(f"{n:,} {state}" for state, n in self.states.items() if n)
        found = f"{self.total:,} {noun}: {states}." if self.total else f"No {noun}."
        dead = self.waiting("dead")
        found += f" Dead letters: {dead:,}." if dead else ""
        if self.is_settled:
            return f"{found} All is settled."
        return "\n".join([f"{found} Not settled yet:", *(f"  - {each}" for each in self.awaited)])

    def svg(self, rates: Sequence[float] = ()) -> str:
        """The picture, with its words for those who do not see it; `rates` are events a second
        before, the latest last."""
        middle = max(ABOVE, 48 + BAR_ROW * len(self.states))
        height = middle + 61 + ROW * len(self.services)
        parts = [_text(16, 24, self.counted.noun.capitalize(), "bold"), *self._bars()]
        parts += _waiting(self.services, middle)
        parts.append(_text(16, height - 14, waits_for(self.awaited).capitalize()))
        if rates:
            parts += _pace(rates[-SHOWN:])
        title, words = escape(self.text.splitlines()[0]), escape(self.text)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" font-family="{palette.FONT}, Verdana, sans-serif" '
            f'font-size="12"><title>{title}</title><desc>{words}</desc>'
            f'<rect width="100%" height="100%" rx="6" fill="{palette.PAPER}"/>'
            f"{''.join(parts)}</svg>"
        )

    def _bars(self) -> Iterator[str]:
        for i, (state, count) in enumerate(self.states.items()):
            y, length = 40 + BAR_ROW * i, BAR * count / max(1, self.total)
            yield _text(16, y + 14, state)
            yield _box(100, y, length, 20, self._colour(state))
            yield _text(108 + length, y + 14, f"{count:,}", "bold")

    def _colour(self, state: str) -> str:
        if state not in hopeful(self.counted.lifecycle):
            return palette.FAILURE
        return palette.SUCCESS if state == self.counted.lifecycle.success else palette.GREY

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        # As an image: so it is shown by notebooks, too, which trust nobody's HTML.
        source = f"data:image/svg+xml;base64,{base64.b64encode(self.svg().encode()).decode()}"
        look = f'width="{WIDTH}" style="max-width: none"'  # it scrolls where it does not fit
        image = f'<img {look} alt="{escape(self.text)}" src="{source}"/>'
        return {"text/html": image, "text/plain": self.text}

    def __repr__(self) -> str:
        return self.text

    def settled(self) -> "Glance":
        """The same, known to be settled."""
        return replace(self, is_settled=True, awaited=())


def rates(glances: Sequence[Glance]) -> list[float]:
    """Events a second between glances."""
    return [(after.published - before.published) / EVERY for before, after in pairwise(glances)]


def glance(monitor: Monitor) -> Glance:
    """How they stand now. A few indexed queries: about a millisecond."""
    look, states = monitor.look(), monitor.states()
    awaited = tuple(look.awaited(monitor.last_errors()))
    counted, published = monitor.counted, look.published()
    return Glance(counted, states, look.waiting(), published, awaited, not awaited)


# ── the picture ───────────────────────────────────────────────────────────────────────────────
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


def _waiting(services: Mapping[str, Mapping[str, int]], top: float) -> Iterator[str]:
    """What waits: a row for each service, a column for each kind."""
    yield _box(16, top, WIDTH - 32, 1, palette.GREY)
    yield _text(16, top + 20, "Waiting", "bold")
    most = max([1, *(count for counts in services.values() for count in counts.values())])
    for row, (service, counts) in enumerate(services.items()):
        y = top + 40 + ROW * row
        yield _text(16, y, service)
        for column, (kind, count) in enumerate(counts.items()):
            x = FIRST + APART * column
            if row == 0:
                yield _text(x, top + 20, WAITING[kind], colour=palette.GREY, anchor="end")
            if count:  # a bar that ends at the number: its share of the most that waits anywhere
                length = max(1.5, SHARE * count / most)
                colour = _COLOURS.get(kind, palette.SKY)
                yield _box(x - NUMBER - length, y - 10, length, 11, colour)
            number, weight = (f"{count:,}", "bold") if count else ("·", "")
            yield _text(x, y, number, weight, "end")


def _text(
    x: float, y: float, words: str, weight: str = "", anchor: str = "", colour: str = palette.INK
) -> str:
    style = f' font-weight="{weight}"' if weight else ""
    style += f' text-anchor="{anchor}"' if anchor else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}"{style}>{escape(words)}</text>'


def _box(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height}" fill="{colour}"/>'
