"""Replicas of one service: who is at work, and up to when the queue is known to be handled.

A replica that lives renews its lease; what one whose lease has run out left undone, the others do.
"""

from contextlib import suppress

import msgspec

from ecom.runtime.service import LEASE
from ecom.runtime.tables import Replica
from ecom.stores.base import Transaction
from ecom.stores.query import AtMost

RENEWAL = LEASE / 3  # seconds between two renewals
BEFORE = -1.0  # before any time


def renewed(until: float, name: str, tx: Transaction, now: float) -> float:
    """Renew our lease if it is time to; until when it lasts."""
    if until < now + LEASE - RENEWAL:
        until = now + LEASE
        tx[Replica].change(_row(name, tx), until=until)
    return until


def reconnected(name: str, tx: Transaction, now: float) -> None:
    """Our connection is new, or lost: what we had in hand is queued again, before any echo."""
    tx[Replica].change(_row(name, tx), since=now, heard=BEFORE)


def left(name: str, tx: Transaction, now: float) -> None:
    """We are gone for good, or for a while, and our connection is closed."""
    tx[Replica].change(_row(name, tx), until=now - LEASE)


def heard(name: str, echo: bytes, tx: Transaction) -> None:
    """We were delivered an echo: it says when it was published, if a deadline waits for it."""
    with suppress(ValueError, RecursionError):
        published, row = msgspec.json.decode(echo, type=float), _row(name, tx)
        tx[Replica].change(row, heard=max(row.heard, published))


def lapsed(name: str, tx: Transaction, now: float) -> list[str]:
    """The other replicas whose leases have run out."""
    return [row.name for row in tx[Replica].look(until=AtMost(now)) if row.name != name]


def _row(name: str, tx: Transaction) -> Replica:
    row = tx[Replica].get(name)
    if row is None:
        row = Replica(name, BEFORE - LEASE)
        tx[Replica].put(row)
    return row
