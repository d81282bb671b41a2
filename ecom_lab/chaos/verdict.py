"""What one run of one fault came to."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ecom.errors import ShopError


class HarnessFailed(ShopError):
    """The experiment itself did not work, so it says nothing of the shop: it may be repeated."""


@dataclass(frozen=True)
class Verdict:
    """The outcome of one fault: ten fields of the scorecard, which `--json` prints, and the rest.

    All of it is JSON: a verdict is kept as one line of a file (`ecom_lab.chaos.rows`).
    """

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
    kinds: Mapping[str, int] = field(default_factory=dict)  # what struck, how often
    seconds: float = 0.0
    size: tuple[float, ...] = ()  # orders, rounds, seconds: as it was asked for
    configuration: str = ""  # what it was played on
    commit: str = ""  # of the code that was played

    def as_dict(self) -> dict[str, Any]:
        """The ten fields of the scorecard."""
        return dict(list(asdict(self).items())[: len(FIELDS)])

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


FIELDS = tuple(Verdict.__dataclass_fields__)[:10]
