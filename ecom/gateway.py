"""The payment provider: what we ask of one, and a sandbox that behaves like one.

The sandbox keeps its own ledger, keyed by idempotency key, which is the judge of what was paid.
As with real providers, test card numbers choose the outcome.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from ecom.events import CARD_DECLINED
from ecom.journal import Journal
from ecom.service import Impossible
from ecom.services.payment import Captured, Declined, Refunded

GOOD_CARD = "4242424242424242"
DECLINED_CARD = "4000000000000002"
ERROR_CARD = "4000000000000119"  # a processing error, each time


class GatewayError(Exception):
    """The provider could not be reached or could not say: ask again under the same key."""


class Gateway(Protocol):
    """A payment provider. Under one key, each call has one effect and always the same answer."""

    async def capture(self, key: str, order_id: str, amount: int, card: str) -> Captured | Declined:
        """Take `amount` pence. Raises `GatewayError` when the outcome is not known."""

    async def refund(self, key: str, order_id: str, amount: int) -> Refunded:
        """Give `amount` pence back. Raises `GatewayError`, or `Impossible` if none was taken."""


class SandboxGateway:
    """A provider in a file: `gateway.db`, table `ledger`."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ledger = Journal(
            folder / "gateway.db", "ledger", ("key", "kind", "order_id", "amount", "outcome", "at")
        )

    async def capture(self, key: str, order_id: str, amount: int, card: str) -> Captured | Declined:
        if card == ERROR_CARD:
            raise GatewayError("processing error")
        outcome = "declined" if card == DECLINED_CARD else "captured"
        row = (key, "capture", order_id, amount, outcome, self._clock())
        _, _, _, _, outcome, _ = await self._ledger.write_once(row)
        return Captured(order_id) if outcome == "captured" else Declined(order_id, CARD_DECLINED)

    async def refund(self, key: str, order_id: str, amount: int) -> Refunded:
        captured = self._ledger.read(f"capture/{order_id}")
        if captured is None or captured[4] != "captured" or captured[3] != amount:
            raise Impossible(f"there is no capture of {amount} pence for order {order_id}")
        await self._ledger.write_once(
            (key, "refund", order_id, amount, "refunded", self._clock())
        )
        return Refunded(order_id)
