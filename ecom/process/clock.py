"""The time of a process: it passes as it really does, whatever is done to the machine's clock.

A clock that is set while a process runs (by hand, by a time server, after a virtual machine was
paused) must not let deadlines pass, nor old rows be deleted, nor what is put off wait for a day.
"""

import logging
import time
from collections.abc import Callable

LEAP = 5.0  # seconds: less is no leap
SLEW = 0.01  # seconds by which we follow the machine's clock, in each that passes

log = logging.getLogger("ecom.process")


def since_boot() -> float:
    """Seconds that nobody can set; those in which the machine slept are among them."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Clock:
    """Epoch seconds that never go back and never leap: they begin as the machine's clock has it,
    and where that is set, they follow it slowly. A leap is logged."""

    def __init__(
        self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = since_boot
    ) -> None:
        self._wall, self._steady = wall, steady
        self._before = steady()
        self._offset, self._behind = wall() - self._before, 0.0

    def __call__(self) -> float:
        """What time it is."""
        now = self._steady()
        behind, most = self._wall() - now - self._offset, SLEW * (now - self._before)
        if abs(behind - self._behind) > LEAP:
            said = "The machine's clock leapt by %+.0f s: we follow it by %.0f s an hour"
            log.warning(said, behind - self._behind, SLEW * 3600)
        step = max(-most, min(most, behind))
        self._before, self._behind = now, behind - step
        self._offset += step
        return now + self._offset
