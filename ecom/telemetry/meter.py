"""What a process counts of itself in memory: how long its steps take, how much is in one, the lag.

Once a step, not once a message: all of it costs about a microsecond a step.
"""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ecom.runtime.messages import Delivery, Tick

STEP_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
STEP_INPUTS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000)


class Spread:
    """How many values fell between which bounds: a histogram."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)  # the last: above all bounds
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        """How many were at most so much, as Prometheus wants it."""
        bounds, so_far, result = [*map(str, self.bounds), "+Inf"], 0, []
        for bound, count in zip(bounds, self.counts, strict=True):
            so_far += count
            result.append((bound, so_far))
        return result


class Meter:
    """One process's numbers. `lag` is the age, in seconds, of the oldest event of the last batch
    when that batch was committed; 0 as soon as nothing more is there to be handled."""

    def __init__(self) -> None:
        self.seconds = Spread(STEP_SECONDS)
        self.inputs = Spread(STEP_INPUTS)
        self.lag = 0.0

    def step(self, batch: Sequence[Any], start: float, end: float) -> None:
        """One step is done; times in epoch seconds. A tick by itself is no work."""
        if len(batch) == 1 and type(batch[0]) is Tick:
            self.lag = 0.0
            return
        self.seconds.add(max(0.0, end - start))
        self.inputs.add(len(batch))
        said_at = next((_said_at(each) for each in batch if type(each) is Delivery), None)
        if said_at is not None:
            self.lag = max(0.0, end - said_at)


def _said_at(delivery: Delivery) -> float | None:
    """When this event was said, if it is one, and one that says so."""
    try:
        return datetime.fromisoformat(delivery.headers["ce-time"]).timestamp()
    except (TypeError, KeyError, ValueError, OverflowError):
        return None
