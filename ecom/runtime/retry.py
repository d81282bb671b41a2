"""How often what failed is tried again, and after how long; a service names its exceptions."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Retry:
    """Exponential backoff with full jitter: wait up to base × factor^(n-1) seconds, capped.

    After Brooker, "Exponential Backoff and Jitter" (2015). After `attempts`: a dead letter.
    """

    base: float = 0.2
    factor: float = 2.0
    cap: float = 30.0
    attempts: int = 6

    def delay(self, attempt: int, jitter: float) -> float:
        """Seconds to wait after the `attempt`-th failure (1, 2, …); `jitter` is in [0, 1)."""
        return min(self.cap, self.base * self.factor ** min(attempt - 1, 60)) * jitter
