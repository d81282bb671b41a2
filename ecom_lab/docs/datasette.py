"""What Datasette tells beside the shop's tables, from the docstrings and comments in the code.

To open a shop's databases with it:

    datasette .ecom/shops/ecom/*.db --metadata docs/datasette.json
"""

import inspect
import re
from typing import Any

from ecom.runtime.tables import MACHINERY
from ecom.sandbox.gateway import Movement
from ecom.sandbox.mailbox import Mail
from ecom.shop.provision import views_of
from ecom.stores.base import Row
from ecom.stores.migrations import SchemaVersion
from ecom.stores.views import sentence_of
from ecom_lab.shop import SAGA, SERVICES

_COMMENTED = re.compile(r"^    (\w+): .*?  # (.+)$", re.MULTILINE)


def metadata() -> dict[str, Any]:
    """The document, by Datasette's keys: databases, tables, columns, and a sentence on each."""
    databases = {name: _service(name) for name in SERVICES}
    for name, kind in {"gateway": Movement, "mailbox": Mail}.items():
        tables = {it.table: _table(it) for it in (kind, SchemaVersion)}
        databases[name] = {"description": "The world outside the shop.", "tables": tables}
    return {
        "title": "A shop of five services",
        "description": "Each service has a database of its own; in each, the view about says what "
        "there is to read. Times in tables are epoch seconds, money in tables is in pence; in "
        "views, times are UTC and money is in pounds.",
        "databases": databases,
    }


def _service(name: str) -> dict[str, Any]:
    service = SAGA.services[name]
    kinds = (*service.rows, *MACHINERY, SchemaVersion)
    tables = {kind.table: _table(kind) for kind in kinds}
    views = {
        name: {"description": text.splitlines()[1].removeprefix("-- ")}
        for name, text in views_of(service).items()
    }
    module = inspect.getmodule(service.rows[0])
    about = f'{sentence_of(module)} What there is to read: <a href="{name}/about">about</a>.'
    return {"description_html": about, "tables": tables | views}


def _table(row: type[Row]) -> dict[str, Any]:
    """A table as its row class tells it: the docstring, and the comments beside the columns."""
    columns = dict(_COMMENTED.findall(inspect.getsource(row)))
    return {"description": sentence_of(row)} | ({"columns": columns} if columns else {})
