"""Views of a service's tables, for people who open its database: with readable times.

A view costs nothing until it is read, so the hot path does not pay for these. Each begins
with a comment that says what it shows, which SQLite keeps with it. The view `about` lists them all,
and the tables. Times are UTC.
"""

import inspect
import re
from collections.abc import Iterable
from typing import Any

from ecom.stores.base import Row
from ecom.stores.migrations import SchemaVersion
from ecom.stores.sql import literal

MACHINERY = """
CREATE VIEW outbox_unsent AS
-- Events written with the state they speak of, which the broker has yet to confirm.
SELECT seq, type, subject, exchange, datetime(created_at, 'unixepoch') AS written,
       owner AS replica, CAST(body AS TEXT) AS body
FROM outbox WHERE done_at IS NULL ORDER BY seq;

CREATE VIEW inbox_waiting AS
-- Messages that failed and will be tried again, the next one first.
SELECT type, subject, attempts, datetime(due, 'unixepoch') AS next_try, last_error,
       datetime(at, 'unixepoch') AS arrived, id
FROM inbox WHERE state = 'waiting' ORDER BY due, id;

CREATE VIEW effects_open AS
-- What is asked of the outside world, and not known to be done.
SELECT type, subject, key, attempts, datetime(due, 'unixepoch') AS next_try, last_error,
       datetime(created_at, 'unixepoch') AS asked
FROM effects WHERE done_at IS NULL ORDER BY seq;

CREATE VIEW dead AS
-- Dead letters that lie there. `ecom dead` shows and mends them.
SELECT number, reason, type, subject, attempts, error, datetime(at, 'unixepoch') AS since, id
FROM dead_letters WHERE ended_at IS NULL ORDER BY number;

CREATE VIEW timers_running AS
-- What the service will do by itself, and when; the next one first.
SELECT type, subject, datetime(due, 'unixepoch') AS goes_off FROM timers ORDER BY due, id;
"""

_VIEW = re.compile(r"(CREATE VIEW (\w+) AS\n-- ([^\n]+)\n.+?);$", re.DOTALL | re.MULTILINE)
_ABOUT = """CREATE VIEW about AS
-- What there is to read here.
WITH told (name, kind, shows) AS (VALUES
{})
SELECT name, kind, shows FROM told"""


def views_of(kinds: Iterable[type[Row]], own: str = "") -> dict[str, str]:
    """The views of a service with tables of these kinds, by name: its own, each as those above, and
    the machinery's, as SQLite keeps them in its schema, comment and all; the last one, `about`,
    describes tables and views."""
    found = _VIEW.findall(own + MACHINERY)
    told = [(name, "view", about) for _, name, about in found]
    told += [(kind.table, "table", sentence_of(kind)) for kind in (*kinds, SchemaVersion)]
    rows = (f"({', '.join(map(literal, row))})" for row in told)
    about = _ABOUT.format(",\n".join(rows))
    return {name: text for text, name, _ in found} | {"about": about}


def sentence_of(thing: Any) -> str:
    """The first paragraph of a docstring, in one line."""
    return inspect.getdoc(thing).split("\n\n")[0].replace("\n", " ")
