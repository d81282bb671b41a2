"""Retention: inbox, outbox and effect rows that are done are deleted after a week, in steps."""

from msgspec.structs import replace

from ecom.runtime.service import LEASE
from ecom.runtime.tables import Effect, Inbox, Letter, Outbox, Replica
from ecom.stores.base import Row, Transaction
from ecom.stores.query import AtMost, Key, MoreThan

# Longer than a duplicate can take to arrive. Rows of dead letters stay until those are replayed,
# and a later replay still finds the handlers' own rows, which are never deleted.
RETENTION = 7 * 24 * 3600.0  # seconds
STEP = 500  # rows of each table in one transaction
EVERY = 10.0  # seconds between two looks, unless there was more to do
KINDS: tuple[type[Inbox | Outbox | Effect], ...] = (Inbox, Outbox, Effect)
LONGEST_WAIT = 3600.0  # seconds; no clock that is right puts off, or leases, for as long


def tidy(tx: Transaction, now: float) -> bool:
    """Delete some of what was done more than `RETENTION` ago, and bring back what a clock that was
    ahead has put off; whether there may be more of it."""
    ahead, old = MoreThan(now + LONGEST_WAIT), AtMost(now - RETENTION)
    for kind in KINDS:
        for row in tx[kind].take(limit=STEP, due=ahead):
            tx[kind].put(replace(row, due=now + LEASE))
    for replica in tx[Replica].take(limit=STEP, until=ahead):
        tx[Replica].change(replica, until=now + LEASE)
    for replica in tx[Replica].take(limit=STEP, until=old):
        if not any(tx[it].look(limit=1, owner=replica.name, done_at=None) for it in KINDS[1:]):
            tx[Replica].delete(replica.name)
    gone: list[tuple[type[Row], Key]] = [
        *((Inbox, it.id) for it in tx[Inbox].take(limit=STEP, state="done", at=old)),
        *((Outbox, it.seq) for it in tx[Outbox].take(limit=STEP, done_at=old)),
        *((Effect, it.seq) for it in tx[Effect].take(limit=STEP, state="done", done_at=old)),
        *((Letter, it.number) for it in tx[Letter].take(limit=STEP, ended_at=old)),
    ]
    for table, key in gone:
        tx[table].delete(key)
    return len(gone) >= STEP
