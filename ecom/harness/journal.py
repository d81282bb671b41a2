"""A file that remembers what was asked under which key: a ledger of the world outside.

A row is written once under its key, and a repeated call gets the first answer. Calls that come
together share one commit.
"""

import asyncio
from pathlib import Path
from typing import Generic

from ecom.process.performers import OutcomeUnknown
from ecom.stores.base import R, StoreBroken, StoreUnavailable, Transaction
from ecom.stores.query import Key, key_of
from ecom.stores.sqlite import SqliteStore, prepare


class Journal(Generic[R]):
    """The first answers, rows of one kind."""

    def __init__(self, path: Path, kind: type[R]) -> None:
        prepare(path, [kind])
        self._store, self._kind = SqliteStore(path), kind
        self._rows: dict[Key, R] = {}  # of the next commit
        self._written: asyncio.Future[dict[Key, R]]  # what will be there, once it is made
        self._is_closed = False

    def read(self, key: Key) -> R | None:
        """The row under this key. Raises `OutcomeUnknown` as `write_once` does."""
        try:
            return self._store.fetch(self._kind, key)
        except (StoreUnavailable, StoreBroken) as error:
            raise OutcomeUnknown(str(error)) from error

    def rows(self) -> list[R]:
        """All rows, by key."""
        return self._store.select(self._kind, {}, None)

    async def write_once(self, row: R) -> R:
        """Durably write the row unless its key is there; returns the row that is there.

        Raises `OutcomeUnknown` if that failed, as it always does after `close`: ask again.
        """
        if self._is_closed:
            raise OutcomeUnknown("the journal is closed")
        if not self._rows:
            loop = asyncio.get_running_loop()
            self._written = loop.create_future()
            loop.call_soon(self._write)
        self._rows.setdefault(key_of(row), row)
        written = await asyncio.shield(self._written)  # whoever gives up does so for itself alone
        return written[key_of(row)]

    def close(self) -> None:
        """Write what was asked for until now, and close the file."""
        self._write()
        self._is_closed = True
        self._store.close()

    def _write(self) -> None:
        rows, self._rows = self._rows, {}
        if not rows:
            return  # `close` came first, and has written them
        try:
            transaction = Transaction(self._store)
            table = transaction[self._kind]
            table.load(rows)
            for key, row in rows.items():
                if table.get(key) is None:
                    table.put(row)
            transaction.commit()
        except (StoreUnavailable, StoreBroken) as failure:
            self._store.rollback()
            self._written.set_exception(OutcomeUnknown(str(failure)))
        else:
            self._written.set_result({key: table[key] for key in rows})
