"""The payment provider: what we ask of one, and a sandbox that behaves like one.

The sandbox keeps its own ledger, keyed by idempotency key, which is the judge of what was paid. It
moves money whenever it is asked under a new key: so its ledger shows what a mistake of ours costs.
As with real providers, test card numbers choose the outcome.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from ecom.effects.journal import Journal
from ecom.events import CARD_DECLINED
from ecom.runtime.service import Impossible
from ecom.services.payment import Captured, Declined, Refunded

GOOD_CARD = "4242424242424242"
DECLINED_CARD = "4000000000000002"
ERROR_CARD = "4000000000000119"  # a processing error, each time

COLUMNS = ("key", "kind", "order_id", "amount", "outcome", "at")


class GatewayError(Exception):
    """The provider could not be reached or could not say: ask again under the same key."""


class ProcessingError(GatewayError):
    """The provider could not, and says that no money moved: ask again, but not for ever."""


class Gateway(Protocol):
    """A payment provider. Under one key, each call has one effect and always the same answer.

    `Impossible` is raised for what no repetition can mend: a refund of what was never taken, or a
    key that belongs to another order or amount.
    """

    async def capture(self, key: str, order_id: str, amount: int, card: str) -> Captured | Declined:
        """Take `amount` pence. Raises `GatewayError` when the outcome is not known."""

    async def refund(self, key: str, order_id: str, amount: int) -> Refunded:
        """Give `amount` pence back. Raises `GatewayError` likewise."""

    async def close(self) -> None:
        """Let go of connections and files."""


def open_ledger(folder: Path) -> Journal:
    """What the sandbox was asked and answered: `gateway.db`, table `ledger`, by key."""
    return Journal(folder / "gateway.db", "ledger", COLUMNS)


class SandboxGateway:
    """A provider in a file."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ledger = open_ledger(folder)

    async def capture(self, key: str, order_id: str, amount: int, card: str) -> Captured | Declined:
        if card == ERROR_CARD:
            raise ProcessingError("processing error")
        wanted = "declined" if card == DECLINED_CARD else "captured"
        outcome = await self._book(key, "capture", order_id, amount, wanted)
        return Captured(order_id) if outcome == "captured" else Declined(order_id, CARD_DECLINED)

    async def refund(self, key: str, order_id: str, amount: int) -> Refunded:
        captured = self._ledger.read(f"capture/{order_id}")
        if captured is None or captured[4] != "captured" or captured[3] != amount:
            raise Impossible(f"there is no capture of {amount} pence for order {order_id}")
        await self._book(key, "refund", order_id, amount, "refunded")
        return Refunded(order_id)

    def ledger(self) -> list[dict[str, Any]]:
        """All that was asked and what became of it, oldest first."""
        return [dict(zip(COLUMNS, row, strict=True)) for row in self._ledger.rows()]

    async def close(self) -> None:
        self._ledger.close()

    async def _book(self, key: str, kind: str, order_id: str, amount: int, outcome: str) -> str:
        """The outcome under this key: the first one, whatever is wanted now."""
        asked = (kind, order_id, amount)
        row = await self._ledger.write_once((key, *asked, outcome, self._clock()))
        if row[1:4] != asked:
            raise Impossible(f"the key {key} belongs to a {row[1]} of {row[3]} pence")
        return row[4]
