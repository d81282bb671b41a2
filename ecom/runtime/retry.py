"""When what has failed is tried again; services name exceptions for their messages and effects."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Retry:
    """How often what failed is tried again, and after how long: exponential backoff with full
    jitter, up to base × factor^(n-1) seconds, capped; after `attempts`, it is a dead letter.

    After Brooker, "Exponential Backoff and Jitter" (2015).
    """

    base: float = 0.2
    factor: float = 2.0
    cap: float = 30.0
    attempts: int = 6

    def delay(self, attempt: int, jitter: float) -> float:
        """Seconds to wait after the `attempt`-th failure (1, 2, …); `jitter` is in [0, 1)."""
        return min(self.cap, self.base * self.factor ** min(attempt - 1, 60)) * jitter
