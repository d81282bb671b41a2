"""A file that remembers what was asked under which key: the provider's ledger, and the mailbox.

A row is written once under its key, and a repeated call gets the first answer. Calls that come
together share one commit.
"""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

from ecom.process.performers import OutcomeUnknown


class Journal:
    """One SQLite table of first answers. `columns` begins with the key."""

    def __init__(self, path: Path, table: str, columns: tuple[str, ...]) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, timeout=5.0)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        names = ", ".join(columns)
        self._db.execute(
            f"CREATE TABLE IF NOT EXISTS {table} ({columns[0]} TEXT PRIMARY KEY, "
            f"{', '.join(columns[1:])})"
        )
        marks = ", ".join("?" * len(columns))
        self._insert = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})"
        self._select_all = f"SELECT {names} FROM {table}"
        self._select = f"{self._select_all} WHERE {columns[0]} = ?"
        self._waiting: list[tuple[tuple, asyncio.Future]] = []
        self._is_closed = False

    def read(self, key: str) -> tuple | None:
        """The row under this key. Raises `OutcomeUnknown` as `write_once` does."""
        try:
            return self._db.execute(self._select, (key,)).fetchone()
        except sqlite3.Error as error:
            raise OutcomeUnknown(str(error)) from error

    def rows(self) -> list[tuple]:
        """All rows, in the order in which they were written."""
        return self._db.execute(f"{self._select_all} ORDER BY rowid").fetchall()

    async def write_once(self, row: tuple[Any, ...]) -> tuple:
        """Durably write the row unless its key is there; returns the row that is there.

        Raises `OutcomeUnknown` if that failed, as it always does after `close`: ask again.
        """
        if self._is_closed:
            raise OutcomeUnknown("the journal is closed")
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._write)
        done = loop.create_future()
        self._waiting.append((row, done))
        return await done

    def close(self) -> None:
        """Write what was asked for until now, and close the file."""
        self._write()
        self._is_closed = True
        self._db.close()

    def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return  # `close` came first, and has written them
        try:
            self._db.execute("BEGIN IMMEDIATE")
            found = [self._write_one(row) for row, _ in waiting]
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            for _, done in waiting:
                done.cancelled() or done.set_exception(OutcomeUnknown(str(error)))
            return
        for (_, done), row in zip(waiting, found, strict=True):
            done.cancelled() or done.set_result(row)

    def _write_one(self, row: tuple) -> tuple:
        is_new = self._db.execute(self._insert, row).rowcount
        return row if is_new else self.read(row[0])
