"""A retry storm, simulated: a crowd of clients, a provider that is down, and then comes back.

Nothing runs here but the arithmetic of our own retry policy, so every number follows from the seed.
The provider's capacity is what makes it a storm: whoever comes when it is full has failed again.
"""

import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from ecom.runtime.retry import Retry

SLOT = 0.1  # seconds over which calls are counted, and capacity is given


@dataclass(frozen=True)
class Storm:
    """What the provider saw: `load[i]` calls in the i-th tenth of a second."""

    load: tuple[int, ...]
    recovers_at: float  # seconds

    @property
    def calls(self) -> int:
        """All calls, the vain ones as well."""
        return sum(self.load)

    @property
    def peak(self) -> int:
        """The most calls in one slot, from the moment the provider is back."""
        return max(self.load[_slot(self.recovers_at) :], default=0)

    @property
    def over_at(self) -> float:
        """Seconds until the last client was served."""
        return round(len(self.load) * SLOT, 3)


def storm(
    policy: Retry, clients: int, recovers_at: float, capacity: int, jitter: Callable[[], float]
) -> Storm:
    """Let `clients` call at 0 s and retry by `policy` until each has been served.

    The provider is down until `recovers_at` (seconds); then it serves `capacity` calls a slot, and
    fails the others. `jitter` is asked before each wait for its share of the policy's bound:
    `full(seed)`, or `none`. As our payments, clients go on beyond `policy.attempts`.
    """
    load: Counter[int] = Counter()
    served: Counter[int] = Counter()
    waiting = [(0.0, client, 1) for client in range(clients)]
    while waiting:
        now, client, attempt = heapq.heappop(waiting)
        slot = _slot(now)
        load[slot] += 1
        if now >= recovers_at and served[slot] < capacity:
            served[slot] += 1
        else:
            again = now + policy.delay(attempt, jitter())
            heapq.heappush(waiting, (again, client, attempt + 1))
    return Storm(tuple(load[slot] for slot in range(max(load, default=-1) + 1)), recovers_at)


def full(seed: int) -> Callable[[], float]:
    """Full jitter, as our services have it: any share from nothing to all, equally likely."""
    return Random(f"jitter/{seed}").random


def none() -> float:
    """No jitter: always all of it, so that those who failed together come back together."""
    return 1.0


def _slot(seconds: float) -> int:
    return int(seconds / SLOT + 1e-9)  # 0.6 / 0.1 is a hair below 6
