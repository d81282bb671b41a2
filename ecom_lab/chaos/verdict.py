"""What one run of one fault came to."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from ecom.errors import ShopError


class HarnessFailed(ShopError):
    """The experiment itself did not work, so it says nothing of the shop: it may be repeated."""


@dataclass(frozen=True)
class Verdict:
    """The outcome of one fault. `as_dict` is what `--json` prints."""

    fault: str
    seed: int
    injected: int  # faults that did strike
    attempted: int  # orders sent
    acknowledged: int  # orders that were answered with a number
    lost: int  # acknowledged, and yet not ended or its customer not told
    unexpected: int  # orders there are that nobody sent
    duplicate_deliveries: int  # messages that an inbox knew already: proof that faults bit
    duplicate_effects: int  # orders, captures, refunds, mails, log entries done more than once
    books: str  # "balanced: …", or "off: …" with every promise that was broken
    kinds: Counter[str] = field(default_factory=Counter)  # what struck, how often
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """The ten fields of the scorecard."""
        fields = asdict(self)
        return {name: fields[name] for name in FIELDS}

    @property
    def violations(self) -> list[str]:
        """Every promise that was broken, a sentence each; empty is what we want."""
        counts = {
            "acknowledged orders were lost": self.lost,
            "orders exist that nobody sent": self.unexpected,
            "effects happened twice": self.duplicate_effects,
        }
        found = [f"{number} {what}" for what, number in counts.items() if number]
        off = [] if self.books.startswith("balanced") else [f"the books are {self.books}"]
        return found + off


FIELDS = (
    "fault", "seed", "injected", "attempted", "acknowledged", "lost", "unexpected",
    "duplicate_deliveries", "duplicate_effects", "books",
)  # fmt: skip
