"""Deadlines: a timer goes off once what was in the service's queue before it has been handled.

Each replica is delivered its messages in the order of the queue; so once every one of them has
handled an echo (a message that the service publishes to itself) from after the deadline, so it has
all that came before. What a lost connection gives back to the queue comes first again: only echoes
from after that count.
"""

from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from ecom.contract.topology import echo
from ecom.runtime.messages import Announce
from ecom.runtime.replicas import BEFORE
from ecom.runtime.service import LEASE
from ecom.runtime.tables import Inbox, Replica, Timer
from ecom.stores.base import Transaction
from ecom.stores.query import AtMost

AT_ONCE = 200  # timers in one transaction, at most
PATIENCE = 1.0  # seconds until the next echo, if the last one has not come back


class Deadlines:
    """One replica's part in it."""

    def __init__(self, service: str) -> None:
        self._key = echo(service)
        self.connected()

    def connected(self) -> None:
        """A new connection: what was published before may be lost."""
        self.asked = BEFORE  # when we last published an echo; in `Memory`, too

    def come(self, tx: Transaction, now: float, announcements: list[Announce]) -> Iterator[Timer]:
        """The timers to handle. If the queue has to tell, an echo is among the announcements."""
        due = tx[Timer].take(limit=AT_ONCE, due=AtMost(now))
        until = handled_until(tx, now) if due else now
        if due and due[-1].due > until and self._may_ask(tx, now):
            self.asked = now
            announcements.append(Announce(self._key, msgspec.json.encode(now)))
        for timer in due:
            if timer.due > until:
                return
            if rows := self._retries(timer, tx):
                tx[Timer].put(replace(timer, due=max(now, rows[0].due or now)))
            else:
                yield timer

    def _retries(self, timer: Timer, tx: Transaction) -> list[Inbox]:
        """What was perhaps in the queue before, and is to be tried again."""
        return tx[Inbox].look(limit=1, subject=timer.subject, state="waiting")

    def _may_ask(self, tx: Transaction, now: float) -> bool:
        answered = any(row.heard >= self.asked for row in tx[Replica].look())
        return answered or now >= self.asked + PATIENCE


def handled_until(tx: Transaction, now: float) -> float:
    """What was in the queue by then has been handled, or waits in the inbox to be tried again. A
    replica whose lease has run out counts for another lease, after which the broker has given back
    what it had in hand."""
    rows = tx[Replica].look()
    alive = [row for row in rows if row.until + LEASE > now]
    begun = [row.since for row in alive] + [row.until + LEASE for row in rows if row not in alive]
    known = min((row.heard for row in alive), default=BEFORE)
    return known if known >= max(begun, default=0.0) else BEFORE
