"""Retention: inbox, outbox and effect rows that are done are deleted after a week, in steps."""

from msgspec.structs import replace

from ecom.runtime.service import LEASE
from ecom.runtime.tables import Effect, Inbox, Letter, Outbox, Replica
from ecom.stores.base import Transaction
from ecom.stores.query import AtMost, MoreThan

# Longer than a duplicate can take to arrive. Rows of dead letters stay until those are replayed,
# and a later replay still finds the handlers' own rows, which are never deleted.
RETENTION = 7 * 24 * 3600.0  # seconds
STEP = 500  # rows of each table in one transaction
OUTGOING: tuple[type[Outbox | Effect], ...] = (Outbox, Effect)
# Seconds: nothing is put off, or leased, for as long by a clock that is right.
LONGEST_WAIT = 3600.0


def tidy(tx: Transaction, now: float) -> None:
    """Delete some of what was done more than `RETENTION` ago, and bring back what a clock that was
    ahead has put off."""
    ahead = MoreThan(now + LONGEST_WAIT)
    kinds: tuple[type[Inbox | Outbox | Effect], ...] = (Inbox, *OUTGOING)
    for kind in kinds:
        for row in tx[kind].take(limit=STEP, due=ahead):
            tx[kind].put(replace(row, due=now + LEASE))
    for replica in tx[Replica].take(limit=STEP, until=ahead):
        tx[Replica].change(replica, until=now + LEASE)
    old = AtMost(now - RETENTION)
    for inbox in tx[Inbox].take(limit=STEP, state="done", at=old):
        tx[Inbox].delete(inbox.id)
    for outbox in tx[Outbox].take(limit=STEP, done_at=old):
        tx[Outbox].delete(outbox.seq)
    for effect in tx[Effect].take(limit=STEP, state="done", done_at=old):
        tx[Effect].delete(effect.seq)
    for letter in tx[Letter].take(limit=STEP, ended_at=old):
        tx[Letter].delete(letter.number)
    for replica in tx[Replica].take(limit=STEP, until=old):
        if not any(tx[it].look(limit=1, owner=replica.name, done_at=None) for it in OUTGOING):
            tx[Replica].delete(replica.name)
