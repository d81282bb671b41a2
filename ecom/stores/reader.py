"""Reading a service's database from outside: read-only, one moment at a time, in nobody's way."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any


def connect(folder: Path, database: str) -> sqlite3.Connection:
    """A read-only connection to `<folder>/<database>.db`; a SELECT sees one moment of it."""
    uri = (folder / f"{database}.db").absolute().as_uri() + "?mode=ro"
    return sqlite3.connect(uri, uri=True, timeout=10.0, isolation_level=None)


def rows(folder: Path, database: str, query: str, values: tuple = ()) -> list[tuple[Any, ...]]:
    """All rows of one query."""
    with closing(connect(folder, database)) as connection:
        return connection.execute(query, values).fetchall()
