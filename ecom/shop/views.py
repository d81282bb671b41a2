"""What is in a service's database, for whoever opens it by hand: views with times to be read.

A view costs nothing until somebody reads it, so the hot path does not pay for these. Each begins
with a comment that says what it shows, which SQLite keeps with it. The view `about` lists them all,
and the tables. Times are UTC, money is in pounds.
"""

import inspect
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from ecom.runtime.service import Service
from ecom.runtime.tables import MACHINERY

BUSY_SECONDS = 5.0  # how long to wait for another process's transaction

MACHINERY_VIEWS = """
CREATE VIEW outbox_unsent AS
-- Events written with the state they speak of, which the broker has yet to confirm.
SELECT seq, type, order_id, exchange, datetime(created_at, 'unixepoch') AS written,
       owner AS replica, CAST(body AS TEXT) AS body
FROM outbox WHERE done_at IS NULL ORDER BY seq;

CREATE VIEW inbox_waiting AS
-- Messages that failed and will be tried again, the next one first.
SELECT type, order_id, attempts, datetime(due, 'unixepoch') AS next_try, last_error,
       datetime(at, 'unixepoch') AS arrived, id
FROM inbox WHERE state = 'waiting' ORDER BY due, id;

CREATE VIEW effects_open AS
-- What is asked of the outside world, and not known to be done.
SELECT type, order_id, key, attempts, datetime(due, 'unixepoch') AS next_try, last_error,
       datetime(created_at, 'unixepoch') AS asked
FROM effects WHERE done_at IS NULL ORDER BY seq;

CREATE VIEW dead AS
-- What was given up: messages and effects. `ecom dead` shows and mends them.
SELECT 'message' AS what, type, order_id, attempts, last_error,
       datetime(at, 'unixepoch') AS since, id
FROM inbox WHERE state = 'dead'
UNION ALL
SELECT 'effect', type, order_id, attempts, last_error, datetime(created_at, 'unixepoch'), id
FROM effects WHERE state = 'dead';

CREATE VIEW timers_running AS
-- What the service will do by itself, and when; the next one first.
SELECT type, order_id, datetime(due, 'unixepoch') AS goes_off FROM timers ORDER BY due, id;
"""

SERVICE_VIEWS = {
    "order": """
CREATE VIEW orders_with_lines AS
-- One row for each line of each order.
SELECT orders.order_id, customer, state, reason,
       json_extract(line.value, '$.sku') AS sku,
       json_extract(line.value, '$.quantity') AS quantity,
       json_extract(line.value, '$.unit_price') / 100.0 AS unit_price,
       total / 100.0 AS order_total,
       datetime(placed_at, 'unixepoch') AS placed, datetime(ended_at, 'unixepoch') AS ended
FROM orders, json_each(orders.lines) AS line ORDER BY number, line.key;

CREATE VIEW orders_by_outcome AS
-- How many orders ended how, and what they come to.
SELECT state, coalesce(reason, '') AS reason, count(*) AS orders, sum(total) / 100.0 AS total
FROM orders GROUP BY 1, 2 ORDER BY 1, 2;
""",
    "inventory": """
CREATE VIEW stock_now AS
-- What is on the shelf, held for an order under way, and sold.
SELECT sku, available AS on_the_shelf, held, committed AS sold, initial AS at_first
FROM stock ORDER BY sku;

CREATE VIEW reservations_with_units AS
-- What each order has, or had, of which product.
SELECT order_id, customer, state, unit.key AS sku, unit.value AS units,
       datetime(held_until, 'unixepoch') AS held_until, datetime(at, 'unixepoch') AS since
FROM reservations LEFT JOIN json_each(reservations.units) AS unit
ORDER BY length(order_id), order_id, sku;
""",
    "payment": """
CREATE VIEW payments_now AS
-- Each order's money, as the payment service sees it.
SELECT order_id, customer, state, amount / 100.0 AS amount, datetime(at, 'unixepoch') AS since
FROM payments ORDER BY length(order_id), order_id;

CREATE VIEW money_by_state AS
-- How much money is where.
SELECT state, count(*) AS payments, sum(amount) / 100.0 AS amount
FROM payments GROUP BY state ORDER BY state;
""",
    "notification": """
CREATE VIEW customers_told AS
-- What each customer has been told, and what is still to be sent.
SELECT order_id, customer, CASE WHEN confirmed THEN 'yes' ELSE '' END AS confirmed,
       coalesce(cancelled, '') AS cancelled_as,
       CASE WHEN refunded THEN 'yes' ELSE '' END AS refunded,
       json_array_length(mails) AS mails_to_send
FROM told ORDER BY length(order_id), order_id;
""",
    "audit": """
CREATE VIEW log AS
-- Everything that was said, in the order in which audit heard of it.
SELECT event.n, event.time, event.order_id, event.type, event.producer,
       coalesce(cause.type, '') AS caused_by, event.body
FROM events AS event LEFT JOIN events AS cause ON cause.id = event.causation ORDER BY event.n;

CREATE VIEW sagas AS
-- Each order's saga in one line.
SELECT order_id, count(*) AS events, group_concat(type, ' → ') AS story,
       min(time) AS began, max(time) AS last_heard_of
FROM (SELECT * FROM events ORDER BY n) GROUP BY order_id ORDER BY length(order_id), order_id;
""",
}


class View(NamedTuple):
    """One view of a database."""

    name: str
    about: str  # a sentence
    sql: str  # as SQLite keeps it in its schema, comment and all


def views_of(service: Service) -> list[View]:
    """All views of a service's database; the last one, `about`, describes tables and views."""
    views = _read(SERVICE_VIEWS[service.name] + MACHINERY_VIEWS)
    rows = (*service.rows, *MACHINERY)
    told = [(view.name, "view", view.about) for view in views]
    told += [(row.table, "table", sentence_of(row)) for row in rows]
    return views + _read(_ABOUT.format(",\n".join(map(_literal, told))))


_VIEW = re.compile(r"(CREATE VIEW (\w+) AS\n-- ([^\n]+)\n.+?);$", re.DOTALL | re.MULTILINE)
_ABOUT = """CREATE VIEW about AS
-- What there is to read here.
WITH told (name, kind, shows) AS (VALUES
{})
SELECT name, kind, shows FROM told;"""


def _read(text: str) -> list[View]:
    return [View(name, about, sql) for sql, name, about in _VIEW.findall(text)]


def _literal(row: tuple[str, ...]) -> str:
    """A row of texts as SQL writes it."""
    return "({})".format(", ".join("'{}'".format(text.replace("'", "''")) for text in row))


def sentence_of(thing: Any) -> str:
    """The first paragraph of a docstring, in one line."""
    return inspect.getdoc(thing).split("\n\n")[0].replace("\n", " ")


def install(path: Path, service: Service) -> None:
    """Give the database of a service its views; harmless to repeat, also concurrently.

    A view that reads otherwise than it should, as an older version left it, is made anew.
    """
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = NORMAL")  # a view lost in a power cut is made again
        found = dict(db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'view'"))
        for view in views_of(service):
            if found.get(view.name) != view.sql:
                db.execute(f"DROP VIEW IF EXISTS {view.name}")
                db.execute(view.sql.replace("VIEW", "VIEW IF NOT EXISTS", 1))
