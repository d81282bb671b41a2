"""A payment provider in a file: performs captures and refunds, and keeps a ledger of its own.

The ledger, by idempotency key, decides what was paid. The provider moves money whenever it is
asked under a new key: so its ledger shows the cost of the shop's mistakes.
"""

import time
from pathlib import Path

from ecom.events import CARD_DECLINED
from ecom.harness.journal import Journal
from ecom.process.performers import NotDone
from ecom.runtime.service import Impossible
from ecom.sandbox.cards import DECLINED_CARD, ERROR_CARD
from ecom.services.payment import Capture, Captured, Declined, Refund, Refunded
from ecom.stores.base import Row


class Movement(Row, frozen=True):
    """What the provider was asked under one key, and its answer."""

    table = "ledger"

    key: str
    kind: str  # capture, refund
    order_id: str
    amount: int  # pence
    outcome: str  # captured, declined, refunded
    at: float


def open_ledger(folder: Path) -> Journal[Movement]:
    """What was asked and answered: `gateway.db`, table `ledger`, by key."""
    return Journal(folder / "gateway.db", Movement)


class SandboxGateway:
    """A provider in a file."""

    def __init__(self, folder: Path) -> None:
        self._ledger = open_ledger(folder)

    async def capture(self, key: str, effect: Capture) -> Captured | Declined:
        """Take money from the card, unless it is one of those that choose another outcome."""
        if effect.card == ERROR_CARD:
            raise NotDone("processing error")
        wanted = "declined" if effect.card == DECLINED_CARD else "captured"
        outcome = await self._book(key, "capture", effect, wanted)
        if outcome == "captured":
            return Captured(effect.order_id)
        return Declined(effect.order_id, CARD_DECLINED)

    async def refund(self, key: str, effect: Refund) -> Refunded:
        """Give back what was taken under `effect.capture`; earlier releases do not name it."""
        captured = self._ledger.read(effect.capture or f"capture/{effect.order_id}")
        wanted = "captured", effect.order_id, effect.amount
        if captured is None or (captured.outcome, captured.order_id, captured.amount) != wanted:
            raise Impossible(
                f"there is no capture of {effect.amount} pence for order {effect.order_id}"
            )
        await self._book(key, "refund", effect, "refunded")
        return Refunded(effect.order_id)

    def find(self, key: str, kind: str) -> Movement | None:
        """What was asked under this key, as that kind of movement."""
        row = self._ledger.read(key)
        return row if row is not None and row.kind == kind else None

    def ledger(self) -> list[Movement]:
        """All that was asked and what became of it, oldest first."""
        return sorted(self._ledger.rows(), key=lambda row: row.at)

    async def close(self) -> None:
        """Close the file."""
        self._ledger.close()

    async def _book(self, key: str, kind: str, effect: Capture | Refund, outcome: str) -> str:
        """The outcome under this key: the first one, whatever is wanted now."""
        wanted = Movement(key, kind, effect.order_id, effect.amount, outcome, time.time())
        row = await self._ledger.write_once(wanted)
        if (row.kind, row.order_id, row.amount) != (kind, effect.order_id, effect.amount):
            raise Impossible(f"the key {key} belongs to a {row.kind} of {row.amount} pence")
        return row.outcome
