"""What the services' databases hold, as pandas frames for readers.

Every frame has the same columns, types and order of rows however the messages raced: sorted by
explicit keys, never by time of arrival. Money is integer pence.
"""

from contextlib import closing
from pathlib import Path

import msgspec
import pandas as pd

from ecom.errors import ShopError
from ecom.sagas.choreography import choreography
from ecom.stores.reader import connect, rows

_CONTRACT = choreography().contract
DATABASES = (*_CONTRACT.services, "gateway", "mailbox")

# Order numbers are texts: "999" comes before "1001".
_BY_ORDER = "ORDER BY length(order_id), order_id"

# What an event follows from when it is no event: a command, a timer …
_FIRST_CAUSES = {
    "order.created": "customer",
    "order.cancelled": "customer",
    "inventory.expired": "deadline",
    # … or the answer of the payment provider, which was asked because of:
    "payment.processed": "inventory.processed",
    "payment.failed": "inventory.processed",
    "payment.refunded": "order.cancelled",
}
_PLACE = {key: place for place, key in enumerate(_CONTRACT.by_key)}


def orders(folder: Path, state: str | None = None) -> pd.DataFrame:
    """order_id, customer, lines, total, state, reason: one row an order, by number."""
    query = f"""SELECT order_id, customer, lines, total, state, coalesce(reason, '') FROM orders
                WHERE ? IS NULL OR state = ? {_BY_ORDER}"""
    found = [
        (order_id, customer, _in_words(lines), *rest)
        for order_id, customer, lines, *rest in rows(folder, "order", query, (state, state))
    ]
    return _frame(found, order_id="str", customer="str", lines="str", total="int64",
                  state="str", reason="str")  # fmt: skip


def events(folder: Path, order_id: str | None = None) -> pd.DataFrame:
    """order_id, type, producer, caused_by, reason: the audit log, causes before effects.

    `caused_by` is the type of the event that led to this one, or `customer`, or `deadline`.
    """
    query = f"""SELECT order_id, type, producer, id, causation,
                       coalesce(json_extract(body, '$.reason'), '')
                FROM events WHERE ? IS NULL OR order_id = ? {_BY_ORDER}"""
    log = rows(folder, "audit", query, (order_id, order_id))
    types = {id_: type_ for _, type_, _, id_, _, _ in log}
    found = [
        (order, type_, producer, types.get(cause, _FIRST_CAUSES.get(type_, "")), reason)
        for order, type_, producer, _, cause, reason in log
    ]
    # The contract names the events so that each comes after all it can follow from.
    found.sort(key=lambda row: (len(row[0]), row[0], _PLACE[row[1]]))
    return _frame(found, order_id="str", type="str", producer="str", caused_by="str", reason="str")


def stock(folder: Path) -> pd.DataFrame:
    """sku, initial, available, held, committed: units of each product, by sku."""
    query = "SELECT sku, initial, available, held, committed FROM stock ORDER BY sku"
    return _frame(rows(folder, "inventory", query), sku="str", initial="int64",
                  available="int64", held="int64", committed="int64")  # fmt: skip


def emails(folder: Path, order_id: str | None = None) -> pd.DataFrame:
    """order_id, to, subject, body: what customers were told; the outcome before the refund."""
    query = f"""SELECT order_id, to_address, subject, body FROM mails
                WHERE ? IS NULL OR order_id = ? {_BY_ORDER},
                subject LIKE 'Refund%', subject LIKE '%Cancelled', message_id"""
    return _frame(rows(folder, "mailbox", query, (order_id, order_id)),
                  order_id="str", to="str", subject="str", body="str")  # fmt: skip


def ledger(folder: Path) -> pd.DataFrame:
    """order_id, kind, amount, outcome: the payment provider's own book, captures first."""
    query = f"SELECT order_id, kind, amount, outcome FROM ledger {_BY_ORDER}, kind"
    return _frame(rows(folder, "gateway", query), order_id="str", kind="str", amount="int64",
                  outcome="str")  # fmt: skip


def table(folder: Path, database: str, name: str) -> pd.DataFrame:
    """A table as it is, by its key. Raises `ShopError` for a database or table there is not."""
    if database not in DATABASES:
        raise ShopError(f"There is no database {database!r}: choose of {', '.join(DATABASES)}.")
    with closing(connect(folder, database)) as connection:
        names = [row[0] for row in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]  # fmt: skip
        if name not in names:
            raise ShopError(f"{database} has no table {name!r}: choose of {', '.join(names)}.")
        keys = [row[1] for row in connection.execute(f'PRAGMA table_info("{name}")') if row[5]]
        by = ", ".join(f'"{key}"' for key in keys) or "rowid"
        return pd.read_sql_query(f'SELECT * FROM "{name}" ORDER BY {by}', connection)


def _frame(found: list[tuple], **types: str) -> pd.DataFrame:
    """A frame whose types do not depend on whether it is empty."""
    return pd.DataFrame(found, columns=list(types)).astype(types)


def _in_words(lines: str) -> str:
    """An order's lines as JSON → `2 × TEAPOT, 1 × KITE`."""
    return ", ".join(f"{line['quantity']} × {line['sku']}" for line in msgspec.json.decode(lines))
