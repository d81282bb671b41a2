"""Reading the databases of a saga from outside: read-only, without blocking a writer.

A reader reads a folder of databases, each of which it opens when it is first used. Tables and
columns are named by `Row` classes, from which the statements are made.
"""

import sqlite3
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from ecom.errors import ShopError
from ecom.stores.migrations import check_readable, version_in
from ecom.stores.reading import Reading
from ecom.stores.sqlite import SqliteStore

PATIENCE = 10.0  # seconds to wait for a database that is being restored after a crash


class Database(SqliteStore):
    """One database in a file."""

    def __init__(self, folder: Path, name: str, patience: float = PATIENCE) -> None:
        path = (folder / f"{name}.db").absolute()
        try:
            self._db = sqlite3.connect(
                f"{path.as_uri()}?mode=ro", uri=True, timeout=patience, isolation_level=None
            )
        except sqlite3.OperationalError as error:
            raise ShopError(f"There is no database {path}.") from error
        check_readable(version_in(self, self.tables()), str(path))


LONGEST_NAME = 63  # in PostgreSQL, which would cut it short
SERVER = "database"  # the note in a folder whose services have their rows on a server: URL, shop


def schema_of(shop: str, service: str) -> str:
    """The name of a service's schema, and of its role. Raises `ShopError` if it is too long."""
    name = f"{shop}_{service}"
    if len(name) > LONGEST_NAME:
        raise ShopError(f"{name} is too long a name for PostgreSQL: give the shop a shorter one.")
    return name


class Reader(dict[str, Any], AbstractContextManager["Reader"]):
    """The databases of the shop in `folder`, by name; to be closed, or used by `with`.

    Raises `ShopError` for a database that there is not, or that this release cannot read.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def __missing__(self, name: str) -> Reading:
        note = self._folder / SERVER
        if note.exists() and not (self._folder / f"{name}.db").exists():
            from ecom.stores.postgres_reader import PostgresReader  # here: few need it

            url, shop = note.read_text().split()
            self[name] = PostgresReader(url, schema_of(shop, name))
        else:
            self[name] = Database(self._folder, name)
        return self[name]

    def close(self) -> None:
        """Close what was opened."""
        while self:
            self.popitem()[1].close()

    def __exit__(self, *_: object) -> None:
        self.close()
