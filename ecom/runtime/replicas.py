"""Replicas of one service: their leases, and the deadlines that wait for what each has in hand.

A replica that lives renews its lease; what one whose lease has run out left undone, the others do.

A timer goes off once what was in the service's queue before it has been handled. Each replica is
delivered its messages in the order of the queue; so once every one of them has handled an echo (a
message that the service publishes to itself) from after the deadline, so it has all that came
before. What a lost connection gives back to the queue comes first again: only echoes from after
that count.
"""

from contextlib import suppress

import msgspec
from msgspec.structs import replace

from ecom.contract.topology import echo
from ecom.runtime.messages import Announce
from ecom.runtime.service import LEASE
from ecom.runtime.tables import Inbox, Replica, Timer
from ecom.stores.base import Transaction
from ecom.stores.query import AtMost

RENEWAL = LEASE / 3  # seconds between two renewals
BEFORE = -1.0  # before any time
AT_ONCE = 200  # timers, and retries, in one transaction, at most
PATIENCE = 1.0  # seconds until the next echo, if the last one has not come back


def renewed(until: float, name: str, tx: Transaction, now: float) -> float:
    """Renew our lease if it is time to; until when it lasts."""
    if until < now + LEASE - RENEWAL:
        until = now + LEASE
        tx[Replica].put(replace(_row(name, tx), until=until))
    return until


def reconnected(name: str, tx: Transaction, now: float) -> None:
    """Our connection is new, or lost: what we had in hand is queued again, before any echo."""
    tx[Replica].put(replace(_row(name, tx), since=now, heard=BEFORE))


def left(name: str, tx: Transaction, now: float) -> None:
    """We are gone for good, or for a while, and our connection is closed."""
    tx[Replica].put(replace(_row(name, tx), until=now - LEASE))


def heard(name: str, echo: bytes, tx: Transaction) -> None:
    """We were delivered an echo: it says when it was published, if a deadline waits for it."""
    with suppress(ValueError, RecursionError):
        published, row = msgspec.json.decode(echo, type=float), _row(name, tx)
        tx[Replica].put(replace(row, heard=max(row.heard, published)))


def _row(name: str, tx: Transaction) -> Replica:
    return tx[Replica].get(name) or Replica(name, BEFORE - LEASE)


def handled_until(tx: Transaction, now: float) -> float:
    """What was in the queue by then has been handled, or waits in the inbox to be tried again. A
    replica whose lease has run out counts for another lease, after which the broker has given back
    what it had in hand."""
    rows = tx[Replica].look()
    alive = [row for row in rows if row.until + LEASE > now]
    begun = [row.since for row in alive] + [row.until + LEASE for row in rows if row not in alive]
    known = min((row.heard for row in alive), default=BEFORE)
    return known if known >= max(begun, default=0.0) else BEFORE


def deadlines(
    service: str, asked: float, tx: Transaction, now: float
) -> tuple[list[Timer], list[Announce]]:
    """The timers to handle; and an echo, if the queue has to tell of more. `asked` is when we last
    published one, on this connection: on an earlier one it may be lost."""
    due = tx[Timer].take(limit=AT_ONCE, due=AtMost(now))
    until, found, echoes = handled_until(tx, now) if due else now, [], []
    if due and due[-1].due > until:
        answered = any(row.heard >= asked for row in tx[Replica].look())
        if answered or now >= asked + PATIENCE:
            echoes = [Announce(echo(service), msgspec.json.encode(now))]
    for timer in (it for it in due if it.due <= until):
        # What was perhaps in the queue before, and is to be tried again.
        if retries := tx[Inbox].look(limit=1, subject=timer.subject, state="waiting"):
            tx[Timer].put(replace(timer, due=max(now, retries[0].due or now)))
        else:
            found.append(timer)
    return found, echoes
