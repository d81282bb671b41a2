"""Tables of a saga's databases, as frames."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from ecom.errors import ShopError
from ecom.stores.reader import Reader


def table(folder: Path, known: Iterable[str], database: str, name: str) -> pd.DataFrame:
    """A table of one of the known databases in `folder`, as it is, by its key.

    Raises `ShopError` for a database or table there is not.
    """
    if database not in known:
        raise ShopError(f"There is no database {database!r}: choose of {', '.join(known)}.")
    with Reader(folder) as read:
        names = read[database].tables()
        if name not in names:
            raise ShopError(f"{database} has no table {name!r}: choose of {', '.join(names)}.")
        columns, rows = read[database].table(name)
    return pd.DataFrame.from_records(rows, columns=columns, coerce_float=True)


def by_number(number: str) -> tuple[int, str]:
    """Numbers are texts: "999" comes before "1001"."""
    return len(number), number
