"""What goes wrong at the provider, as one may set it while it runs; by chance, but repeatable."""

import random
from collections import Counter
from typing import Annotated, Literal, get_args

from msgspec import Meta, Struct

Chance = Annotated[float, Meta(ge=0, le=1)]
Fate = Literal["before", "after", "twice", "well"]


class Faults(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `PUT /faults`; what it does not name is off."""

    fail_before: Chance = 0.0  # of a call: an error is the answer, and nothing was done
    fail_after: Chance = 0.0  # of a call: it is done, and the connection is cut without an answer
    duplicate: Chance = 0.0  # of a call: it is answered twice
    delay: Annotated[float, Meta(ge=0, le=3600)] = 0.0  # seconds from the deed to the answer
    down: bool = False  # every call fails before
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] = 0


class Luck:
    """The fate of each call: drawn from the seed, what is asked, and how often that was asked.

    So it does not depend on the order in which calls arrive, and a run can be repeated: of a key
    such as `capture/1001/…` only what and whose it is counts, as the rest is new in each run.
    """

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self._asked: Counter[str] = Counter()

    def of(self, key: str) -> Fate:
        """The fate of the next call under `key`."""
        faults = self.faults
        if faults.down or faults == Faults():
            return "before" if faults.down else "well"
        asked = "/".join(key.split("/")[:2])
        self._asked[asked] += 1
        bad = faults.fail_before, faults.fail_after, faults.duplicate
        draw = random.Random(f"{faults.seed}/{asked}/{self._asked[asked]}")
        return draw.choices(get_args(Fate), [*bad, max(0.0, 1 - sum(bad))])[0]
