"""How a service's schema in PostgreSQL is made, or brought up to date, and who may use it.

A schema belongs to whoever makes it, a provisioner. The service is a role of the schema's name: it
may read and write the rows in there and nothing else, and makes nothing.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from ecom.stores.base import Row, StoreBroken
from ecom.stores.migrations import Found, migrate, version_in
from ecom.stores.postgres import DIALECT
from ecom.stores.postgres_reader import PostgresReader, psycopg
from ecom.stores.sql import literal

_RIGHTS = (
    "GRANT USAGE ON SCHEMA {0} TO {0}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {0} TO {0}",
    "REVOKE INSERT, UPDATE, DELETE ON {0}.schema_versions FROM {0}",
    "GRANT USAGE ON ALL SEQUENCES IN SCHEMA {0} TO {0}",
)
_DATE = r"to_char(to_timestamp(\1) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"


class PostgresSchema(PostgresReader):
    """A schema, to be made or changed. Its methods raise `StoreUnavailable`, and `StoreBroken` if
    something is to be done and we have no right to."""

    execute = PostgresReader._run

    def provision(
        self, kinds: Iterable[type[Row]], views: Mapping[str, str], password: str | None = None
    ) -> None:
        """Make the schema and its role, where there are none, and do what `prepare` does; harmless
        to repeat. With a password the role may log in."""
        with self.alone():
            self._run_about("CREATE SCHEMA IF NOT EXISTS {0}")
            known = self.execute("SELECT 1 FROM pg_roles WHERE rolname = ?", (self.schema,))
            if not known.fetchone():
                self._run_about("CREATE ROLE {0}")
            if password is not None:
                self._run_about("ALTER ROLE {0} LOGIN PASSWORD {1}", password)
        self.prepare(kinds, views)
        with self.alone():
            for right in _RIGHTS:
                self._run_about(right)

    def prepare(self, kinds: Iterable[type[Row]], views: Mapping[str, str]) -> None:
        """Make what is lacking, or bring what an earlier release has made up to date; see
        `migrate`."""
        migrate(self, kinds, {name: _noted(name, _ours(text)) for name, text in views.items()})

    def drop(self) -> None:
        """Delete the schema with all that is in it, and its role."""
        with self.alone():
            self._run_about("DROP SCHEMA IF EXISTS {0} CASCADE")
            self._run_about("DROP ROLE IF EXISTS {0}")

    def look(self) -> Found:
        made = self.execute(
            "SELECT c.relkind::text, c.relname, obj_description(c.oid, 'pg_class'),"
            " array(SELECT attname::text FROM pg_attribute AS a"
            " WHERE a.attrelid = c.oid AND attnum > 0 AND NOT attisdropped)"
            " FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace WHERE nspname = ?",
            (self.schema,),
        ).fetchall()
        tables = {name: set(columns) for kind, name, _, columns in made if kind == "r"}
        views = {name: _noted(name, text or "") for kind, name, text, _ in made if kind == "v"}
        indexes, numbers = ({name for kind, name, *_ in made if kind == its} for its in "iS")
        return Found(tables, indexes, views, version_in(self, tables), DIALECT, numbers)

    @contextmanager
    def alone(self) -> Iterator[None]:
        try:
            with self.connected().transaction():
                self.execute("SELECT pg_advisory_xact_lock(hashtext(?))", (self.schema,))
                yield
        except psycopg.Error as error:
            raise self._failed(error) from None

    def _run_about(self, statement: str, *values: str) -> None:
        """Execute a statement about {0}, the schema or its role, alone."""
        sql = psycopg.sql
        self.connected().execute(sql.SQL(statement).format(sql.Identifier(self.schema), *values))

    def _failed(self, error: psycopg.Error) -> Exception:
        if not isinstance(error, psycopg.errors.InsufficientPrivilege):
            return super()._failed(error)
        said = str(error).partition("\n")[0]
        return StoreBroken(
            f"{self.schema} in PostgreSQL is not what this release needs, and may not be changed "
            f"as we are connected ({said}): run this release's provisioner first."
        )


def _ours(view: str) -> str:
    """A view of the machinery's, which is written for SQLite."""
    view = re.sub(r"datetime\((\w+), 'unixepoch'\)", _DATE, view)
    return re.sub(r"CAST\((\w+) AS TEXT\)", r"convert_from(\1, 'UTF8')", view).rstrip(";")


def _noted(name: str, view: str) -> str:
    """How to make a view, whose text PostgreSQL does not keep: so it is told."""
    return f"{view}; COMMENT ON VIEW {name} IS {literal(view)}"
