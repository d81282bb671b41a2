"""Tables of a saga's databases, as frames."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from ecom.settings import one_of
from ecom.stores.reader import Reader


def table(folder: Path, known: Iterable[str], database: str, name: str) -> pd.DataFrame:
    """A table of one of the known databases in `folder`, as it is, by its key.

    Raises `ShopError` for a database or table there is not.
    """
    one_of("database", database, known)
    with Reader(folder) as read:
        one_of(f"table of {database}", name, read[database].tables())
        columns, rows = read[database].table(name)
    return pd.DataFrame.from_records(rows, columns=columns, coerce_float=True)


def by_number(number: str) -> tuple[int, str]:
    """Numbers are texts: "999" comes before "1001"."""
    return len(number), number
