"""Experiments: one notebook, many parameters, all results in one file.

`ecom sweep --help` begins. `ecom_lab.experiments.experiment` is what notebook 10 runs, `results`
what a sweep has found, as a frame; `ecom_lab.experiments.plots` draws it.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from ecom.errors import ShopError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["data_file", "results"]
# Of a run, beside its parameters and results.
COLUMNS = {"key": str, "notebook": str, "code": str, "status": str, "seconds": float, "error": str}


def data_file(name: str) -> Path:
    """A file of the checkout's `data/`, from whichever folder of it one works. Raises `ShopError`.

    Looked for upward from the working folder, then beside this package.
    """
    folder = Path.cwd()
    for checkout in (folder, *folder.parents, Path(__file__).absolute().parents[2]):
        if (path := checkout / "data" / name).is_file():
            return path
    raise ShopError(f"There is no data/{name} in or above {folder}: it comes with the repository.")


def results(path: Path | str) -> "pd.DataFrame":
    """All runs in the file: key, notebook, code, status, seconds, error; parameters; results.

    Sorted by notebook and parameters, whatever the order in which they were run. Raises `ShopError`
    if there is no such file.
    """
    import pandas as pd  # here: a command that does not sweep need not wait for it

    uri = Path(path).absolute().as_uri() + "?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            frame = pd.read_sql_query("SELECT * FROM runs", connection)
    except (sqlite3.OperationalError, pd.errors.DatabaseError) as error:
        raise ShopError(
            f"There are no results in {path}: `ecom sweep … --into {path}` makes them."
        ) from error
    wanted = ["notebook", *(name for name in frame if name not in COLUMNS)]
    return frame.sort_values(wanted, ignore_index=True)
