"""A store in PostgreSQL: a schema for each service, for as many replicas and hosts as wanted.

READ COMMITTED with row locks: what a transaction has read by key nobody changes before it ends, and
what it has not found it inserts, which fails if another has meanwhile. Such a conflict is
`StoreUnavailable`, as are a deadlock and a lost connection: the batch is tried again. Whether a
commit was made whose answer was lost, the database is asked until it says.
"""

import logging
from collections import deque
from collections.abc import Iterable
from functools import cache
from operator import itemgetter
from typing import Any

from msgspec import DecodeError

from ecom.stores import sql
from ecom.stores.base import R, Row, StoreUnavailable
from ecom.stores.postgres_reader import PostgresReader, marked, psycopg
from ecom.stores.query import Key, key_of
from ecom.stores.sql import Dialect, columns_of, taken

MOST_TOGETHER = 1_000  # rows of one kind that are fetched together, because they were needed before

DIALECT = Dialect(
    {"TEXT": 'TEXT COLLATE "C"', "INTEGER": "BIGINT", "REAL": "FLOAT8", "BLOB": "BYTEA"}, r"'\x{}'"
)
_CAST = {"TEXT": "text[]", "INTEGER": "bigint[]", "REAL": "float8[]", "BLOB": "bytea[]"}

log = logging.getLogger("ecom.stores")


class PostgresStore(PostgresReader):
    """One service's rows, to be written. Its methods wait for the network: in a thread. With the
    name of a `replica`, `begin` raises `StoreUnavailable` while another process has it."""

    is_shared = True

    def __init__(self, *where: Any, replica: str | None = None, **options: Any) -> None:
        super().__init__(*where, **options)
        self._replica, self._alone_on = replica, self._db  # on which connection we hold its name
        self._numbers: dict[type[Row], deque[int]] = {}
        self._given: dict[type[Row], int] = {}  # how many of them, in this transaction
        self._needed: dict[type[Row], int] = {}  # how many of them the last one was given
        self._absent: set[tuple[type[Row], Key]] = set()  # what was looked for in vain
        self._alone: dict[type[Row], dict[Key, Any]] = {}  # what was fetched row by row
        # Kinds of which another transaction has waited for several rows in a circle: from then on
        # those that were needed lately are fetched, and so locked, together, in the order of their
        # keys, as soon as one is needed. Else those who need the same ones (products of many
        # orders) soon meet again; without a conflict, whoever needs one would wait for those who
        # need another.
        self._together: set[type[Row]] = set()
        self._lately: dict[type[Row], list[Key]] = {}
        # Those that this transaction and the last have asked for row by row, and those that two in
        # a row have: the next one needs them, too, and each alone would cost a round trip.
        self._asked: dict[type[Row], dict[Key, None]] = {}
        self._last: dict[type[Row], dict[Key, None]] = {}
        self._usual: dict[type[Row], set[Key]] = {}
        self._writes: list[tuple[str, Iterable[Any]]] = []

    def begin(self) -> None:
        self._forget()
        asked = self._wall()
        try:
            self._be_alone()
            begun = self.connected().execute("BEGIN; SELECT extract(epoch FROM clock_timestamp())")
            begun.nextset()
            self._ahead = float(begun.fetchone()[0]) - (asked + self._wall()) / 2
        except psycopg.Error as error:
            raise self._failed(error) from None

    def _be_alone(self) -> None:
        """See that no other process has our replica's name. The connection holds it, so one that is
        lost can commit nothing beside another's."""
        db = self.connected()
        if self._replica is None or self._alone_on is db:
            return
        try:
            db.execute(_NAME, (self.schema, self._replica))
        except psycopg.errors.LockNotAvailable:
            raise taken(self._replica, self.schema) from None
        self._alone_on = db

    def fetch(self, kind: type[R], key: Key) -> R | None:
        known, asked = self._alone.setdefault(kind, {}), self._asked.setdefault(kind, {})
        usual = self._lately if kind in self._together else self._usual
        expected = () if asked else usual.get(kind, ())
        asked[key] = None  # also if it is this one that we wait for in vain
        if key not in known:
            keys = [*expected, key]
            try:
                found = self.fetch_many(kind, keys)
            except DecodeError:  # which is about the row that cannot be read, and about no other
                keys, found = [key], self.fetch_many(kind, [key])
            known |= dict.fromkeys(keys) | {key_of(row): row for row in found}
        return known[key]

    def fetch_many(self, kind: type[R], keys: list[Key]) -> list[R]:
        if not keys:
            return []
        columns = columns_of(kind)
        found = [columns.to_row(row) for row in self._run(_statements(kind).fetch_many, (keys,))]
        self._absent.update((kind, key) for key in {*keys}.difference(map(key_of, found)))
        return found

    def write(self, kind: type[R], puts: Iterable[R], deletes: Iterable[Key]) -> None:
        values = sorted(map(columns_of(kind).to_sql, puts), key=itemgetter(0))
        new = [row for row in values if (kind, row[0]) in self._absent]
        old = [row for row in values if (kind, row[0]) not in self._absent]
        its = _statements(kind)
        for statement, rows in (its.insert, new), (its.put, old):
            if rows:
                self._writes.append((statement, _in_columns(kind, rows)))
        if deletes := list(deletes):
            self._writes.append((its.delete_many, (deletes,)))

    def change(self, kind: type[R], rows: list[R], columns: list[str]) -> None:
        first = _in_columns(kind, [columns_of(kind).to_sql(rows[0])])
        values = dict(zip(kind.__struct_fields__, first, strict=True))
        what = *(values[name][0] for name in columns), [key_of(row) for row in rows]
        statement = sql.change(kind, tuple(columns), _statements(kind).among)
        self._writes.append((statement, what))

    def number(self, kind: type[Row]) -> int | None:
        numbers, given = self._numbers.setdefault(kind, deque()), self._given.get(kind, 0)
        if not numbers:  # half as many again as last time; none is kept, as others' are greater
            few = given or self._needed.get(kind, 0) * 3 // 2 or 1
            numbers.extend(number for (number,) in self._run(_statements(kind).numbers, (few,)))
        self._given[kind] = given + 1
        return numbers.popleft()

    def commit(self) -> None:
        if (db := self._db) is None:  # a new connection would know of no transaction
            raise StoreUnavailable("the connection was lost")
        mark = self._flush(db) if self._writes else None
        try:
            db.execute("COMMIT")
        except psycopg.Error as error:
            failure = self._failed(error)
            if mark is None or self._db is not None or not self._was_committed(mark):
                raise failure from None
        self._forget()

    def _flush(self, db: psycopg.Connection) -> dict[str, str]:
        """Send what is to be written, all at once; which transaction it is, for `_was_committed`:
        its id, where the server's log stands, and when that server began."""
        try:
            with db.pipeline():
                for statement, values in self._writes:
                    db.execute(marked(statement), tuple(values))
                mark = db.execute(_MARK)
            return dict(zip(("xid", "lsn", "server"), mark.fetchone(), strict=True))
        except psycopg.Error as error:
            failure = self._failed(error)
            self._drop()  # it may believe to have prepared what came after the error
            raise failure from None

    def _was_committed(self, mark: dict[str, str]) -> bool:
        """Whether a commit was made whose answer was lost. Raises `StoreUnavailable` if we are
        closed before the database says."""
        log.warning("The database is unavailable, and may have made a commit: it will be asked")
        while not self._closed.wait(0.1):
            try:
                found = self.connected().execute(_FATE, mark).fetchone()
                if found[0] != "in progress":
                    return found[0] == "committed"
            except psycopg.Error as error:
                if not isinstance(self._failed(error), StoreUnavailable):
                    return False  # a server that has never come so far
        raise StoreUnavailable("closed before a commit was answered")

    def rollback(self) -> None:
        self._forget()
        super().rollback()

    def _failed(self, error: psycopg.Error) -> Exception:
        if isinstance(error, psycopg.errors.DeadlockDetected):
            self._together |= {kind for kind, asked in self._asked.items() if len(asked) > 1}
        return super()._failed(error)

    def _forget(self) -> None:
        """A transaction has ended: remember which rows it has fetched one by one, and what the next
        one will need, if it is like this one."""
        for kind, asked in self._asked.items():
            if len(asked) > 1 or kind in self._together:
                before = (key for key in self._lately.get(kind, ()) if key not in asked)
                self._lately[kind] = [*before, *asked][-MOST_TOGETHER:]
            self._usual[kind] = asked.keys() & self._last.get(kind, {})
        self._last |= self._asked
        self._needed |= self._given
        self._asked = {}
        for each in self._numbers, self._given, self._absent, self._alone, self._writes:
            each.clear()


_NAME = "SELECT pg_advisory_lock(hashtext(%s), hashtext(%s))"  # until the connection ends

_MARK = """
SELECT pg_current_xact_id()::text, pg_current_wal_insert_lsn()::text,
       pg_postmaster_start_time()::text"""

# What became of a transaction; if the commit has not come to the server, it will not. A server that
# has begun again, or another in its place, gives an id anew if all of its log was lost: what has
# not come so far as that log then stood, before the commit, has no commit.
_FATE = """
SELECT CASE
    WHEN pg_postmaster_start_time() <> %(server)s::timestamptz
        AND pg_last_wal_replay_lsn() < %(lsn)s::pg_lsn THEN 'lost'
    ELSE pg_xact_status(%(xid)s::xid8)
END, array(
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE backend_xid = %(xid)s::xid8::xid AND state = 'idle in transaction'
        AND pg_postmaster_start_time() = %(server)s::timestamptz
)"""


# ── Statements ────────────────────────────────────────────────────────────────────────────────
def _in_columns(kind: type[Row], rows: list[tuple[Any, ...]]) -> list[list[Any]]:
    """Rows as one list a column, of values that PostgreSQL keeps."""
    columns = zip(columns_of(kind).types, zip(*rows, strict=True), strict=True)
    return [
        [*map(_KEPT[type_], column)] if type_ in _KEPT else [*column] for type_, column in columns
    ]


_KEPT = {
    "REAL": lambda it: it if it is None else float(it),  # numbers of one type in a column
    "TEXT": lambda it: it and it.replace("\0", "\ufffd"),  # NUL comes in the words of errors
}


class _Statements:
    """What is executed for rows of one kind; the values of a column are one array."""

    def __init__(self, kind: type[Row]) -> None:
        columns = columns_of(kind)
        read = sql.select(kind, "{0}", columns.names, ())
        self.among = f"{columns.key} = ANY(?::{_CAST[columns.types[0]]})"
        self.fetch_many = f"{read} AND {self.among} ORDER BY {columns.key} FOR UPDATE"
        self.delete_many = f"DELETE FROM {kind.table} WHERE {self.among}"
        arrays = ", ".join(f"?::{_CAST[type_]}" for type_ in columns.types)
        all_its = kind, len(columns.names), f"SELECT * FROM unnest({arrays})"
        self.insert, self.put = sql.insert(*all_its), sql.put_from(*all_its)
        self.numbers = f"SELECT nextval('{kind.table}_numbers') FROM generate_series(1, ?)"


_statements = cache(_Statements)
