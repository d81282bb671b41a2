"""The results of sweeps in one SQLite file, a row a run: for people, pandas and Datasette."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
from sqlite_utils import Database

from ecom.errors import ShopError
from ecom_lab.experiments import COLUMNS


def open_results(path: Path) -> Database:
    """The file, with its table `runs`; both are made if need be. Raises `ShopError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        database = Database(path)
        table = database["runs"].create(COLUMNS, pk="key", if_not_exists=True)
        strange = not COLUMNS.keys() <= table.columns_dict.keys()
    except (OSError, sqlite3.Error) as error:
        raise ShopError(f"{path} cannot hold the results: {error}.") from error
    if strange:
        raise ShopError(f"{path} has a table `runs` that is not ours: name another file.")
    return database


def results(path: Path | str) -> pd.DataFrame:
    """All runs in the file: key, notebook, code, status, seconds, error; parameters; results.

    Sorted by notebook and parameters, whatever the order in which they were run. Raises `ShopError`
    if there is no such file.
    """
    missing = f"There are no results in {path}: `ecom sweep … --into {path}` makes them."
    if not Path(path).is_file():
        raise ShopError(missing)
    uri = Path(path).absolute().as_uri() + "?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            frame = pd.read_sql_query("SELECT * FROM runs", connection)
    except pd.errors.DatabaseError as error:
        raise ShopError(missing) from error
    wanted = ["notebook", *(name for name in frame if name not in COLUMNS)]
    return frame.sort_values(wanted, ignore_index=True)
