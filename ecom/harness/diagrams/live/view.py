"""The live view: a picture in a notebook, one line in a terminal, nothing elsewhere.

In a notebook it is a display that is updated: it needs no widgets, so it works wherever outputs are
shown at all, and leaves nothing behind that only a running kernel could draw.
"""

import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing, suppress

from tqdm import tqdm

from ecom.errors import NotSettled
from ecom.harness.diagrams.live.glance import EVERY, SHOWN, WAITING, Glance, glance, rates
from ecom.harness.progress import Display, in_notebook, waits_for
from ecom.harness.quiescence import Monitor


class View:
    """Shows what `monitor` sees, again each time `update` is called, at most every 0.25 s."""

    def __init__(self, monitor: Monitor) -> None:
        self.n = 0  # like a progress bar's: sagas ended
        self._monitor = monitor
        self._glances: deque[Glance] = deque(maxlen=SHOWN + 1)
        self._drawn = 0.0
        self._screen = _screen()

    def update(self, n: int = 0) -> None:
        """`n` more sagas have ended: have a look, unless one was had just now."""
        self.n += n
        if self._screen is not None and time.monotonic() - self._drawn >= EVERY:
            self._drawn = time.monotonic()
            self._glances.append(glance(self._monitor))
            if isinstance(self._screen, Display):
                self._screen.show(self._glances[-1].svg(rates(self._glances)))
            else:
                self._screen.set_description_str(line(self._glances))

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
            return glance(monitor).settled()
        return glance(monitor)


def line(glances: Sequence[Glance]) -> str:
    """The last glance in one line."""
    now = glances[-1]
    states = ", ".join(f"{n:,} {state.lower()}" for state, n in now.states.items())
    waits = ", ".join(f"{now.waiting(kind):,} {kind}" for kind in WAITING)
    pace = [0.0, *rates(glances)][-1]
    return f"{states} | {waits} | {pace:,.0f} events/s | {waits_for(now.awaited)}"


def _screen() -> "Display | tqdm | None":
    """Where there is one to look at: a display in a notebook, a line of a terminal's stderr."""
    if in_notebook():
        return Display()
    if not sys.stderr.isatty():
        return None
    # In a terminal that does not tell its size tqdm would show nothing.
    columns, lines = shutil.get_terminal_size()
    return tqdm(bar_format="{desc}", leave=False, ncols=columns, nrows=lines)
