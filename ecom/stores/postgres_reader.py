"""Connections to PostgreSQL, and reading a service's schema there: what is committed, unlocked.

A connection that is lost is `StoreUnavailable`; what is asked next makes another. No error says a
password.
"""

import threading
import time
from collections.abc import Generator, Iterable
from contextlib import suppress
from functools import cache
from typing import Any, ClassVar

from ecom.errors import ShopError
from ecom.settings import all_installed
from ecom.stores.base import StoreBroken, StoreUnavailable
from ecom.stores.migrations import SchemaVersion, check_readable
from ecom.stores.reading import Reading
from ecom.stores.sql import columns_of

with all_installed():
    import psycopg
    import psycopg.sql
    from psycopg import conninfo

ANSWER_SECONDS = 5.0  # without an answer for so long, a server counts as away
LOCK_SECONDS = 3  # for so long we wait for another transaction: less, as it means no answer
ABSENT_SECONDS = 20  # after which a server ends what a client holds who says nothing, or is cut off

_SET = "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) it(name, value)"
# Classes of errors that may be gone a moment later: no connection, a transaction that only reads or
# has failed, a conflict, no resources, a lock, a shutdown, no I/O; another has inserted that row.
_PASSING = ("08", "25", "40", "53", "55", "57", "58", "23505")


def check_url(url: str) -> str:
    """The URL of a database. Raises `ShopError`, which quotes none of it: it has a password."""
    try:
        told: dict[str, Any] = conninfo.conninfo_to_dict(url)
        for host in str(told.get("host", "")).split(","):
            host.startswith("/") or host.encode("idna")  # which is asked for its address
    except (psycopg.Error, UnicodeError):
        told = {"port": "none"}
    names = f"{told.get('host', '')}{told.get('dbname', '')}"
    if "@" in names or not f"0{told.get('port', '')}".replace(",", "").isdecimal():
        raise ShopError(
            "ECOM_DATABASE_URL is no address of a PostgreSQL, such as postgresql://user:password@"
            "host:5432/database; in a password, @, : and / are written %40, %3A and %2F."
        )
    return url


class _Connection(psycopg.Connection[Any]):
    """A connection that does not wait for ever."""

    patience = ANSWER_SECONDS

    def wait(self, gen: Generator, *interval: Any, **options: Any) -> Any:
        return super().wait(_in_time(gen, self.patience), *interval, **options)


def _in_time(gen: Generator, seconds: float) -> Generator:
    """What is done with a connection, for so long at most: it yields what it waits for, and is
    told now and then that nothing has come."""
    deadline = time.monotonic() + seconds
    try:
        wanted = next(gen)
        while True:
            come = yield wanted
            if not come and time.monotonic() > deadline:
                raise psycopg.OperationalError(f"no answer for {seconds:g} s")
            wanted = gen.send(come)
    except StopIteration as end:
        return end.value


class PostgresReader(Reading):
    """Reads one schema, without locks: what is committed when it is asked. An answer that takes
    longer than `patience` seconds never comes."""

    _TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1"
    _HOLD: ClassVar = {"keep": " FOR UPDATE", "take": " FOR UPDATE SKIP LOCKED", "look": ""}
    _wall = staticmethod(time.time)

    def __init__(self, url: str, schema: str, patience: float = ANSWER_SECONDS) -> None:
        self._url, self.schema, self._patience = check_url(url), schema, patience
        self._db: _Connection | None = None
        self._ahead = 0.0  # seconds by which the database's clock is ahead of ours
        self._closed = threading.Event()

    def _begin_moment(self) -> None:
        begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        was_kept = self._db is not None
        try:
            self._run(begin)
        except StoreUnavailable:
            if not was_kept:  # else it may have been lost since
                raise
            self._run(begin)

    def rollback(self) -> None:
        """End what was begun: nothing of it is kept."""
        if self._db is not None:
            try:
                self._db.execute("ROLLBACK")
            except psycopg.Error:
                self._drop()

    def stop(self) -> None:
        """Find out nothing more (see `_was_committed`): the process ends."""
        self._closed.set()

    def close(self) -> None:
        """Close the connection; an open transaction is rolled back."""
        self.stop()
        self._drop()

    def time(self) -> float:
        """What time it is by the database's clock, which all replicas share."""
        return self._wall() + self._ahead

    def _run(self, statement: str, values: Iterable[Any] = ()) -> psycopg.Cursor:
        try:
            return self.connected().execute(marked(statement), tuple(values) or None)
        except psycopg.Error as error:
            raise self._failed(error) from None

    def connected(self) -> _Connection:
        """The connection, if need be a new one."""
        if self._db is None:
            told = {"connect_timeout": self._patience, "application_name": self.schema}
            told |= conninfo.conninfo_to_dict(self._url)
            self._db = _Connection.connect(**told, autocommit=True)
            self._db.patience = self._patience
            options = {
                "search_path": f'"{self.schema}"',
                "default_transaction_isolation": "read committed",
                "lock_timeout": f"{LOCK_SECONDS}s",
                "idle_in_transaction_session_timeout": f"{ABSENT_SECONDS}s",
                "tcp_keepalives_idle": f"{ABSENT_SECONDS // 2}s",
                "tcp_keepalives_interval": f"{ABSENT_SECONDS // 4}s",
                "tcp_keepalives_count": "2",
                # Plans are kept, and a young table grows: what has a key is found by its index.
                "enable_seqscan": "off",
                "jit": "off",  # which such a plan's cost would call for
            }
            self._db.execute(_SET, ([*options], [*options.values()]))
            self._check(self._db)
        return self._db

    def _check(self, db: psycopg.Connection) -> None:
        """Raises `StoreBroken` if the schema is beyond this release; it may be yet to be made."""
        with suppress(psycopg.errors.UndefinedTable):
            found = db.execute(marked(columns_of(SchemaVersion).fetch), ("machinery",)).fetchone()
            try:
                check_readable(SchemaVersion(*found) if found else None, self.schema)
            except StoreBroken:
                self._drop()
                raise

    def _failed(self, error: psycopg.Error) -> Exception:
        """What an error means; after most, the connection is of no use, or of none any more."""
        if error.sqlstate is None or error.sqlstate.startswith(("08", "57", "25")):
            self._drop()
        return meaning(error)

    def _drop(self) -> None:
        if self._db is not None:
            self._db.close()
        self._db = None


def meaning(error: psycopg.Error) -> Exception:
    """Whether to wait is of use; SQLSTATE tells, and where there is none, no server has spoken."""
    said = " ".join(str(error).split())
    spoken = error.sqlstate or ("" if isinstance(error, psycopg.DataError) else "08000")
    if spoken.startswith(_PASSING):
        return StoreUnavailable(said)
    return StoreBroken(
        f"A database cannot be used ({said}). There may be orders in it, so leave it as it is: if "
        "another release of this package made it, use that one, or bring it up to date with this "
        "release's provisioner."
    )


@cache
def marked(statement: str) -> str:
    """The statement as psycopg has it. Arrays, which are cast, go in binary form: to write one as
    text costs five times as much."""
    return statement.replace("?::", "%b::").replace("?", "%s")
