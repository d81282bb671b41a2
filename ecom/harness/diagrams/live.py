"""Sagas while they run: how they stand and what waits where, in words and as tables.

In a notebook the tables are a display that is updated: it needs no widgets, so it works wherever
outputs are shown at all, and leaves nothing behind that only a running kernel could draw. A
terminal gets one line, all else nothing.
"""

import shutil
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import pandas as pd
from tqdm import tqdm

from ecom.errors import NotSettled
from ecom.harness.progress import Display, in_notebook, waits_for
from ecom.harness.quiescence import Counted, Monitor

EVERY = 0.25  # seconds between two glances
WAITING = {  # what waits, by kind (see `Look.waiting`), and where
    "unhandled": "queue",
    "unsent": "outbox",
    "effects": "effects",
    "retries": "retries",
    "dead": "dead letters",
}


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

    def line(self, pace: float) -> str:
        """In one line, with the events a second just now."""
        states = ", ".join(f"{n:,} {state.lower()}" for state, n in self.states.items())
        waits = ", ".join(f"{self.waiting(kind):,} {kind}" for kind in WAITING)
        return f"{states} | {waits} | {pace:,.0f} events/s | {waits_for(self.awaited)}"

    def html(self, pace: float = 0.0) -> str:
        """Sagas by state, and what waits where, as tables, which a notebook shows that trusts
        nobody's HTML, too; beneath them the events a second, if there are any."""
        states = pd.DataFrame([self.states], [self.counted.noun])
        waits = pd.DataFrame.from_dict(self.services, "index").rename(columns=WAITING)
        tables = (it.map(lambda n: f"{n:,}" if n else "·").to_html() for it in (states, waits))
        said = f"{pace:,.0f} events a second; " * bool(pace) + waits_for(self.awaited)
        return f"{''.join(tables)}<p>{escape(said.capitalize())}</p>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": self.html(), "text/plain": self.text}

    def __repr__(self) -> str:
        return self.text


# ── looking ───────────────────────────────────────────────────────────────────────────────────
def glance(monitor: Monitor) -> Glance:
    """How they stand now. A few indexed queries: about a millisecond."""
    look, states = monitor.look(), monitor.states()
    awaited = tuple(look.awaited(monitor.last_errors()))
    return Glance(monitor.counted, states, look.waiting(), look.published(), awaited)


class View:
    """Shows what `monitor` sees, again each time `update` is called, at most every 0.25 s."""

    def __init__(self, monitor: Monitor) -> None:
        self.n = 0  # like a progress bar's: sagas ended
        self._monitor, self._drawn = monitor, 0.0
        self._before: Glance | None = None
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
        if self._screen is None or time.monotonic() - self._drawn < EVERY:
            return
        self._drawn, now = time.monotonic(), glance(self._monitor)
        pace = (now.published - (self._before or now).published) / EVERY
        self._before = now
        if isinstance(self._screen, Display):
            self._screen.show(now.html(pace))
        else:
            self._screen.set_description_str(now.line(pace))

    def close(self) -> None:
        """Take away what is shown."""
        if self._screen is not None:
            self._screen.close()


def watched(monitor: Monitor, settle: Callable[[View], None]) -> Glance:
    """Show what `monitor` sees while `settle(view)` waits; how it stands afterwards.

    That `settle` runs out of time, or is interrupted, only means that it is not settled yet.
    """
    with monitor:
        with closing(View(monitor)) as view, suppress(NotSettled, KeyboardInterrupt):
            settle(view)
            return replace(glance(monitor), awaited=())
        return glance(monitor)
