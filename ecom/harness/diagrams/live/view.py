"""The live view: a picture in a notebook, one line in a terminal, nothing elsewhere.

In a notebook it is a display that is updated: it needs no widgets, so it works wherever outputs are
shown at all, and leaves nothing behind that only a running kernel could draw. It begins and ends
empty, like the progress bar, so that the stored output is the same however long it took.
"""

import shutil
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any

from ecom.errors import NotSettled
from ecom.harness.diagrams.live.drawing import SHOWN, as_svg
from ecom.harness.diagrams.live.glance import EVERY, Glance, Onlooker, rates
from ecom.harness.progress import in_notebook


class View:
    """Shows what `onlooker` sees, again each time `update` is called, at most every 0.25 s."""

    def __init__(self, onlooker: Onlooker) -> None:
        self.n = 0  # like a progress bar's: sagas ended
        self._onlooker = onlooker
        self._glances: deque[Glance] = deque(maxlen=SHOWN + 1)
        self._drawn = 0.0
        self._screen = _Notebook() if in_notebook() else _Terminal() if _is_terminal() else None

    def update(self, n: int = 0) -> None:
        """`n` more sagas have ended: have a look, unless one was had just now."""
        self.n += n
        if self._screen is not None and time.monotonic() - self._drawn >= EVERY:
            self._drawn = time.monotonic()
            self._glances.append(self._onlooker.glance())
            self._screen.show(list(self._glances))

    def __enter__(self) -> "View":
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._screen is not None:
            self._screen.clear()


def watched(onlooker: Onlooker, settle: Callable[[View], None]) -> Glance:
    """Show what `onlooker` sees while `settle(view)` waits; how it stands afterwards.

    That `settle` runs out of time, or is interrupted, only means that it is not quiet yet.
    """
    with onlooker:
        with View(onlooker) as view, suppress(NotSettled, KeyboardInterrupt):
            settle(view)
            return onlooker.glance().quiet()
        return onlooker.glance()


def line(glances: list[Glance]) -> str:
    """The last glance in one line."""
    now = glances[-1]
    states = ", ".join(f"{n:,} {state.lower()}" for state, n in now.states.items())
    waits = ", ".join(f"{now.waiting(kind):,} {name}" for kind, name in _WORDS.items())
    pace = [0.0, *rates(glances)][-1]
    return f"{states} | {waits} | {pace:,.0f} events/s"


_WORDS = {
    "unhandled": "queued",
    "unsent": "unsent",
    "effects": "effects",
    "retries": "retries",
    "dead": "dead",
}


class _Notebook:
    """A display of a cell's output."""

    def __init__(self) -> None:
        from IPython.display import display

        self._handle: Any = display(_html(""), raw=True, display_id=True)

    def show(self, glances: list[Glance]) -> None:
        board = glances[-1].board(rates(glances))
        self._handle.update(_html(as_svg(board)), raw=True)

    def clear(self) -> None:
        self._handle.update(_html(""), raw=True)


class _Terminal:
    """A line of stderr that is written over and over."""

    def show(self, glances: list[Glance]) -> None:
        width = shutil.get_terminal_size().columns - 1
        print(f"\r{line(glances)[:width]}\x1b[K", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _is_terminal() -> bool:
    return sys.stderr.isatty()


def _html(text: str) -> dict[str, str]:
    return {"text/html": text, "text/plain": ""}
