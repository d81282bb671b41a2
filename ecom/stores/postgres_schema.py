"""How a service's schema in PostgreSQL is made, or brought up to date, and who may use it.

A schema belongs to whoever makes it, a provisioner. The service is a role of the schema's name: it
may read and write the rows in there and nothing else, and makes nothing.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from ecom.errors import ShopError
from ecom.stores.base import Row, StoreBroken
from ecom.stores.migrations import Found, SchemaVersion, migrate
from ecom.stores.postgres import DIALECT
from ecom.stores.postgres_reader import PostgresReader, meaning, psycopg
from ecom.stores.sql import columns_of, literal
from ecom.stores.views import View

LONGEST_NAME = 63
_RIGHTS = (
    "GRANT USAGE ON SCHEMA {0} TO {0}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {0} TO {0}",
    "REVOKE INSERT, UPDATE, DELETE ON {0}.schema_versions FROM {0}",
    "GRANT USAGE ON ALL SEQUENCES IN SCHEMA {0} TO {0}",
)
_DATE = r"to_char(to_timestamp(\1) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"


def schema_of(shop: str, service: str) -> str:
    """The name of a service's schema, and of its role. Raises `ShopError` if it is too long."""
    name = f"{shop}_{service}"
    if len(name) > LONGEST_NAME:
        raise ShopError(f"{name} is too long a name for PostgreSQL: give the shop a shorter one.")
    return name


def provision(
    url: str,
    schema: str,
    kinds: Iterable[type[Row]],
    views: Iterable[View] = (),
    password: str | None = None,
) -> None:
    """Make a schema and its role, where there are none, and do what `prepare` does; harmless to
    repeat. With a password the role may log in. `url` is that of a role that may make both."""
    with _opened(url, schema) as made, made.alone():
        made.run("CREATE SCHEMA IF NOT EXISTS {0}")
        if not made.execute("SELECT 1 FROM pg_roles WHERE rolname = ?", (schema,)).fetchone():
            made.run("CREATE ROLE {0}")
        if password is not None:
            made.run("ALTER ROLE {0} LOGIN PASSWORD {1}", password)
    prepare(url, schema, kinds, views)
    with _opened(url, schema) as made, made.alone():
        for right in _RIGHTS:
            made.run(right)


def prepare(url: str, schema: str, kinds: Iterable[type[Row]], views: Iterable[View] = ()) -> None:
    """Make what a schema lacks, or bring one of an earlier release up to date; see `migrate`.

    Raises `StoreUnavailable`, and `StoreBroken` if something is to be done and we have no right to.
    """
    kinds = [*kinds]
    with _opened(url, schema) as made:
        made.make_numbers(kind.table for kind in kinds if kind.numbers)
        migrate(made, kinds, {view.name: _noted(view.name, _ours(view.sql)) for view in views})


def drop(url: str, schema: str) -> None:
    """Delete a schema with all that is in it, and its role."""
    with _opened(url, schema) as made, made.alone():
        made.run("DROP SCHEMA IF EXISTS {0} CASCADE")
        made.run("DROP ROLE IF EXISTS {0}")


class PostgresSchema:
    """What there is in a schema, and how it is changed."""

    def __init__(self, db: psycopg.Connection, name: str) -> None:
        self._db, self._name = db, name

    def look(self) -> Found:
        made = self._db.execute(
            "SELECT c.relkind::text, c.relname, obj_description(c.oid, 'pg_class'),"
            " array(SELECT attname::text FROM pg_attribute AS a"
            " WHERE a.attrelid = c.oid AND attnum > 0 AND NOT attisdropped)"
            " FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace WHERE nspname = %s",
            (self._name,),
        ).fetchall()
        tables = {name: set(columns) for kind, name, _, columns in made if kind == "r"}
        views = {name: _noted(name, text or "") for kind, name, text, _ in made if kind == "v"}
        version = None
        if SchemaVersion.table in tables:
            values = self.execute(columns_of(SchemaVersion).fetch, ("machinery",)).fetchone()
            version = values and SchemaVersion(*values)
        indexes = {name for kind, name, *_ in made if kind == "i"}
        return Found(tables, indexes, views, version, DIALECT)

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self._db.transaction():
            self.execute("SELECT pg_advisory_xact_lock(hashtext(?))", (self._name,))
            yield

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Any:
        return self._db.execute(statement.replace("?", "%s"), values or None)

    def run(self, statement: str, *values: str) -> None:
        """Execute a statement about {0}, the schema or its role."""
        sql = psycopg.sql
        self._db.execute(sql.SQL(statement).format(sql.Identifier(self._name), *values))

    def make_numbers(self, tables: Iterable[str]) -> None:
        """Make the sequences that number the rows of these tables, where there are none."""
        names = [f"{table}_numbers" for table in tables]
        found = self._db.execute(
            "SELECT sequencename FROM pg_sequences WHERE schemaname = %s", (self._name,)
        ).fetchall()
        if missing := [name for name in names if (name,) not in found]:
            with self.alone():
                for name in missing:
                    self.execute(f"CREATE SEQUENCE IF NOT EXISTS {name}")


@contextmanager
def _opened(url: str, schema: str) -> Iterator[PostgresSchema]:
    with closing(PostgresReader(url, schema)) as reader:
        try:
            yield PostgresSchema(reader.connected(), schema)
        except psycopg.errors.InsufficientPrivilege as error:
            said = str(error).partition("\n")[0]
            raise StoreBroken(
                f"{schema} in PostgreSQL is not what this release needs, and may not be changed as "
                f"we are connected ({said}): run this release's provisioner first."
            ) from None
        except psycopg.Error as error:
            raise meaning(error) from None


def _ours(view: str) -> str:
    """A view of the machinery's, which is written for SQLite."""
    view = re.sub(r"datetime\((\w+), 'unixepoch'\)", _DATE, view)
    return re.sub(r"CAST\((\w+) AS TEXT\)", r"convert_from(\1, 'UTF8')", view).rstrip(";")


def _noted(name: str, view: str) -> str:
    """How to make a view, whose text PostgreSQL does not keep: so it is told."""
    return f"{view}; COMMENT ON VIEW {name} IS {literal(view)}"
