"""The results of sweeps in one SQLite file, a row a run: for people, pandas and Datasette."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecom.errors import ShopError

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {"key": str, "notebook": str, "code": str, "status": str, "seconds": float, "error": str}
DONE, FAILED = "done", "failed"


class Book:
    """The table `runs` of the file at `path`, made if need be.

    A row is written once a run has ended, in one transaction, so a sweep that dies has lost only
    what was under way. Raises `ShopError` if the file is something else.
    """

    def __init__(self, path: Path) -> None:
        from sqlite_utils import Database  # here: it imports pandas

        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = Database(path)
            self._table = self._database["runs"]
            if not self._table.exists():
                self._table.create(COLUMNS, pk="key")
            strange = not set(COLUMNS) <= set(self._table.columns_dict)
        except (OSError, sqlite3.Error) as error:
            raise ShopError(f"{path} cannot hold the results: {error}.") from error
        if strange:
            raise ShopError(f"{path} has a table `runs` that is not ours: name another file.")

    def done(self) -> set[str]:
        """The keys of the runs that need not be run again."""
        return {row["key"] for row in self._table.rows_where("status = ?", [DONE], select="key")}

    def write(self, row: dict[str, Any]) -> None:
        """Keep one run: `COLUMNS`, its parameters and its results; in place of an earlier try."""
        self._table.upsert(row, pk="key", alter=True)

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def results(path: Path | str) -> "pd.DataFrame":
    """All runs in the file: key, notebook, code, status, seconds, error; parameters; results.

    Sorted by notebook and parameters, whatever the order in which they were run. Raises `ShopError`
    if there is no such file.
    """
    import pandas as pd

    missing = f"There are no results in {path}: `ecom sweep … --into {path}` makes them."
    if not Path(path).is_file():
        raise ShopError(missing)
    uri = Path(path).absolute().as_uri() + "?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        try:
            names = [row[1] for row in connection.execute("PRAGMA table_info(runs)")]
        except sqlite3.DatabaseError as error:
            raise ShopError(f"{path} is not a file of results: {error}.") from error
        if "notebook" not in names:
            raise ShopError(missing)
        wanted = ["notebook", *(name for name in names if name not in COLUMNS)]
        by = ", ".join('"{}"'.format(name.replace('"', '""')) for name in wanted)
        return pd.read_sql_query(f"SELECT * FROM runs ORDER BY {by}", connection)
