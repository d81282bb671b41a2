"""Sagas while they run: how they stand and what waits where, in words and as a picture.

In a notebook the picture is a display that is updated: it needs no widgets, so it works wherever
outputs are shown at all, and leaves nothing behind that only a running kernel could draw. A
terminal gets one line, all else nothing. The SVG is drawn by hand, since it is drawn four times a
second. Lengths are pixels.
"""

import base64
import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from html import escape
from itertools import pairwise
from typing import Any

from tqdm import tqdm

from ecom.errors import NotSettled
from ecom.harness.diagrams import palette
from ecom.harness.progress import Display, in_notebook, waits_for
from ecom.harness.quiescence import Counted, Monitor
from ecom.harness.states import hopeful

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

    `services` is, by service, the number of each kind of `WAITING`.
    """

    counted: Counted
    states: dict[str, int]
    services: dict[str, dict[str, int]]
    published: int  # events, since the databases were made
    awaited: tuple[str, ...]  # what was not done yet, a sentence each

    @property
    def is_settled(self) -> bool:
        """Whether all was done that can be done."""
        return not self.awaited

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
        parts += self._table(middle)
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
        lifecycle = self.counted.lifecycle
        colours = dict.fromkeys(hopeful(lifecycle), palette.GREY)
        colours[lifecycle.success] = palette.SUCCESS
        for i, (state, count) in enumerate(self.states.items()):
            y, length = 40 + BAR_ROW * i, BAR * count / max(1, self.total)
            yield _text(16, y + 14, state)
            yield _box(100, y, length, 20, colours.get(state, palette.FAILURE))
            yield _text(108 + length, y + 14, f"{count:,}", "bold")

    def _table(self, top: float) -> Iterator[str]:
        """What waits: a row for each service, a column for each kind."""
        yield _box(16, top, WIDTH - 32, 1, palette.GREY)
        yield _text(16, top + 20, "Waiting", "bold")
        most = max([1, *(n for counts in self.services.values() for n in counts.values())])
        for row, (service, counts) in enumerate(self.services.items()):
            y = top + 40 + ROW * row
            yield _text(16, y, service)
            for column, (kind, count) in enumerate(counts.items()):
                x = FIRST + APART * column
                if row == 0:
                    yield _text(x, top + 20, WAITING[kind], colour=palette.GREY, anchor="end")
                if count:  # a bar that ends at the number: its share of the most anywhere
                    length = max(1.5, SHARE * count / most)
                    colour = _COLOURS.get(kind, palette.SKY)
                    yield _box(x - NUMBER - length, y - 10, length, 11, colour)
                number, weight = (f"{count:,}", "bold") if count else ("·", "")
                yield _text(x, y, number, weight, "end")

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        # As an image: so it is shown by notebooks, too, which trust nobody's HTML.
        source = f"data:image/svg+xml;base64,{base64.b64encode(self.svg().encode()).decode()}"
        look = f'width="{WIDTH}" style="max-width: none"'  # it scrolls where it does not fit
        image = f'<img {look} alt="{escape(self.text)}" src="{source}"/>'
        return {"text/html": image, "text/plain": self.text}

    def __repr__(self) -> str:
        return self.text


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


def _text(
    x: float, y: float, words: str, weight: str = "", anchor: str = "", colour: str = palette.INK
) -> str:
    style = f' font-weight="{weight}"' if weight else ""
    style += f' text-anchor="{anchor}"' if anchor else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}"{style}>{escape(words)}</text>'


def _box(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height}" fill="{colour}"/>'


# ── looking ───────────────────────────────────────────────────────────────────────────────────
def glance(monitor: Monitor) -> Glance:
    """How they stand now. A few indexed queries: about a millisecond."""
    look, states = monitor.look(), monitor.states()
    waiting, awaited = look.waiting(), tuple(look.awaited())
    return Glance(monitor.counted, states, waiting, look.published(), awaited)


class View:
    """Shows what `monitor` sees, again each time `update` is called, at most every 0.25 s."""

    def __init__(self, monitor: Monitor) -> None:
        self.n = 0  # like a progress bar's: sagas ended
        self._monitor = monitor
        self._glances: deque[Glance] = deque(maxlen=SHOWN + 1)
        self._drawn = 0.0
        self._screen: Display | tqdm | None = None
        if in_notebook():
            self._screen = Display()
        elif sys.stderr.isatty():
            # In a terminal that does not tell its size tqdm would show nothing.
            columns, lines = shutil.get_terminal_size()
            self._screen = tqdm(bar_format="{desc}", leave=False, ncols=columns, nrows=lines)

    def update(self, n: int = 0) -> None:
        """`n` more sagas have ended: have a look, unless one was had just now."""
        self.n += n
        if self._screen is not None and time.monotonic() - self._drawn >= EVERY:
            self._drawn = time.monotonic()
            self._glances.append(glance(self._monitor))
            if isinstance(self._screen, Display):
                self._screen.show(self._glances[-1].svg(_rates(self._glances)))
            else:
                self._screen.set_description_str(line(self._glances))

    def close(self) -> None:
        """Take away what is shown."""
        if self._screen is not None:
            self._screen.close()


def line(glances: Sequence[Glance]) -> str:
    """The last glance in one line."""
    now = glances[-1]
    states = ", ".join(f"{n:,} {state.lower()}" for state, n in now.states.items())
    waits = ", ".join(f"{now.waiting(kind):,} {kind}" for kind in WAITING)
    pace = [0.0, *_rates(glances)][-1]
    return f"{states} | {waits} | {pace:,.0f} events/s | {waits_for(now.awaited)}"


def _rates(glances: Sequence[Glance]) -> list[float]:
    """Events a second between glances."""
    return [(after.published - before.published) / EVERY for before, after in pairwise(glances)]


def watched(monitor: Monitor, settle: Callable[[View], None]) -> Glance:
    """Show what `monitor` sees while `settle(view)` waits; how it stands afterwards.

    That `settle` runs out of time, or is interrupted, only means that it is not settled yet.
    """
    with monitor:
        with closing(View(monitor)) as view, suppress(NotSettled, KeyboardInterrupt):
            settle(view)
            return replace(glance(monitor), awaited=())
        return glance(monitor)
