"""What leaves the service after a commit: outbox rows to publish, effects to perform.

A row is written with the state it follows from, taken on after the commit, and marked done in a
later transaction. A window bounds what is under way; the rest follows when there is room. A row
that came back is due at some time, and then any replica may take it; so is one whose replica has
died (see `ecom.runtime.replicas`).
"""

import logging
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Any, Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from ecom.runtime.tables import Effect, Outbox
from ecom.stores.base import Transaction
from ecom.stores.query import AtMost, MoreThan

SOON = 1.0  # seconds until what was returned is tried again
PAUSES = 5.0, 600.0  # what ended a session waits for as many seconds as it is old, within these
NOBODY = ""  # the owner of a row that no replica takes on before it is due

OutRow = TypeVar("OutRow", Outbox, Effect)

log = logging.getLogger("ecom")


class Window(Struct, Generic[OutRow], frozen=True):
    """What a replica keeps in memory of one table of outgoing rows."""

    is_open: bool
    under_way: dict[int, OutRow] = {}  # by seq: taken on, and not known to be done
    last: int = 0  # its own rows up to this seq have been taken on
    behind: bool = True  # there may be others in the table than those being written

    def copy(self) -> "Window[OutRow]":
        """The same; what is done from now on is still under way in it."""
        return replace(self, under_way=dict(self.under_way))


class Relay(Generic[OutRow]):
    """One replica's view of one table of outgoing rows; `window` is all that it remembers."""

    def __init__(self, kind: type[OutRow], owner: str, most: int) -> None:
        self._kind: type[OutRow] = kind
        self._owner, self._most = owner, most
        self.window: Window[OutRow] = Window(is_open=True)
        self._reached = 0, True  # what `last` and `behind` become if this choice is committed

    def choose(
        self, tx: Transaction, now: float, ticked: bool, dead: Iterable[str] = ()
    ) -> list[OutRow]:
        """The rows to take on once the transaction is committed; also those of `dead` replicas. The
        table is searched only if it may have more than the transaction, or when time has passed:
        one query a batch is a tenth of the cost of a single message."""
        window, under_way = self.window, self.window.under_way
        last, search = window.last, window.behind or ticked
        self._reached = last, True
        # Until `started`: a commit whose answer is lost may have been made all the same.
        self.window = Window(window.is_open, under_way)
        room = self._most - len(under_way)
        if not window.is_open or room <= 0:
            return []
        chosen = {row.seq: row for row in self._due(tx, now, room, dead)} if ticked else {}
        ours, reached = self._ours(tx, room, last, search), last
        behind = len(ours) >= room
        for row in ours:
            if row.seq not in chosen and row.seq not in under_way:
                if len(chosen) == room:
                    behind = True  # rows that were due have filled the window
                    break
                chosen[row.seq] = self._taken(row, tx)
            # Only here, row by row: one that came back as due says nothing of those before it.
            reached = row.seq
        self._reached = reached, behind
        return list(chosen.values())

    def _ours(self, tx: Transaction, room: int, last: int, search: bool) -> list[OutRow]:
        """Our own rows that wait, but for what came back, oldest first: `room` of them, or all."""
        table, owner = tx[self._kind], self._owner
        if search:
            return table.where(limit=room, seq=MoreThan(last), owner=owner, done_at=None, due=None)
        new = [row for row in table.written() if row.seq > last and row.owner == owner]
        waits = [row for row in new if row.done_at is None and row.due is None]
        return sorted(waits, key=attrgetter("seq"))

    def _due(self, tx: Transaction, now: float, room: int, dead: Iterable[str]) -> Iterator[OutRow]:
        """Rows that are due: returned or failed ones, and those of dead replicas. What we are still
        at ourselves, though it was taken from us meanwhile, has to wait."""
        table, under_way = tx[self._kind], self.window.under_way
        most = room + len(under_way)
        found = table.take(limit=most, due=AtMost(now))
        for owner in dead:
            found += table.take(limit=most, owner=owner, done_at=None)
        free = {row.seq: row for row in found if row.seq not in under_way}
        for row in list(free.values())[:room]:
            yield self._taken(row, tx)

    def _taken(self, row: OutRow, tx: Transaction) -> OutRow:
        """The row as our own, which nobody else takes while our lease lasts."""
        if row.due is not None or row.owner != self._owner:
            row = replace(row, owner=self._owner, due=None)
            tx[self._kind].put(row)
        return row

    def started(self, rows: Iterable[OutRow]) -> None:
        """The transaction that chose these is committed; they are under way."""
        self.window.under_way.update((row.seq, row) for row in rows)
        self.window = Window(self.window.is_open, self.window.under_way, *self._reached)

    def pending(self, seq: int, tx: Transaction) -> OutRow | None:
        """The row, unless it is done already, perhaps by another replica."""
        row = tx[self._kind].get(seq)
        if row is not None and row.done_at is None:
            return row
        self.window.under_way.pop(seq, None)
        return None

    def done(self, seqs: Iterable[int], tx: Transaction, now: float) -> None:
        """Mark rows as done."""
        for seq in seqs:
            row = self.window.under_way.get(seq) or self.pending(seq, tx)
            if row is not None:
                self.finish(row, tx, now)

    def finish(self, row: OutRow, tx: Transaction, now: float, **columns: Any) -> None:
        """Mark this row as done, and change these columns of it."""
        tx[self._kind].change(row, done_at=now, due=None, **columns)
        self.window.under_way.pop(row.seq, None)

    def rejected(self, seqs: Iterable[int], error: str, tx: Transaction, now: float) -> None:
        """The broker did not take these: try again soon. What ended a connection, with this error,
        is set aside in the table, where nothing takes it on until it is due. At first that is soon,
        as it may be innocent: a broker that deletes a queue may end whoever publishes to it."""
        for seq in seqs:
            if (row := self.failing(seq, tx)) is None:
                continue
            if not error:
                self.later(row, now + SOON, tx)
                continue
            pause = min(max(PAUSES[0], now - row.created_at), PAUSES[1])
            about = {"subject": row.subject, "event": row.id}
            log.error("Cannot send %s; next try in %d s: %s", row.type, pause, error, extra=about)
            self.later(replace(row, owner=NOBODY), now + pause, tx)

    def failing(self, seq: int, tx: Transaction) -> OutRow | None:
        """The row that an attempt of ours has failed at; not if another attempt has begun since."""
        row, ours = self.pending(seq, tx), self.window.under_way.get(seq)
        attempts = {(it.owner, getattr(it, "attempts", 0)) for it in (row, ours) if it is not None}
        if len(attempts) < 2:
            return row
        del self.window.under_way[seq]
        return None

    def later(self, row: OutRow, due: float, tx: Transaction) -> None:
        """Try this row again at `due`."""
        tx[self._kind].put(replace(row, due=due))
        self.window.under_way.pop(row.seq, None)
