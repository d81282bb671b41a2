"""Where services keep their rows: each in a file of one folder, or in a schema on one server."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any, NamedTuple

from ecom.runtime.service import Service
from ecom.runtime.tables import MACHINERY, Outbox
from ecom.settings import Settings
from ecom.stores.base import Row, Store, Transaction
from ecom.stores.query import key_of
from ecom.stores.reader import Database, schema_of
from ecom.stores.reading import Reading
from ecom.stores.sqlite import BUSY_SECONDS, SqliteStore, prepare
from ecom.stores.views import views_of

GLANCE_SECONDS = 1.0  # in which a database has to answer whoever only looks


class Files(NamedTuple):
    """SQLite, for which one waits for moments."""

    folder: Path
    is_remote = False

    def path(self, service: str) -> Path:
        """Where a service's database lies."""
        return self.folder / f"{service}.db"

    def provide(self, service: Service, views: Mapping[str, str] = {}) -> None:
        """Make one service's database, or bring it up to date; with these views besides."""
        prepare(self.path(service.name), (*service.rows, *MACHINERY), views)

    def store(self, service: str, replica: str | None = None) -> Store:
        """Its rows, to be read and written, by nobody else under this name."""
        return SqliteStore(self.path(service), replica)

    def reading(self, service: str) -> Reading:
        """Its rows, to be read: what cannot be had soon is unavailable."""
        return Database(self.folder, service, BUSY_SECONDS)

    def try_write(self, service: str) -> None:
        """Begin to write, and take it back. Raises `StoreUnavailable` if that fails for a while."""
        with closing(SqliteStore(self.path(service), patience=GLANCE_SECONDS)) as store:
            store.begin()


class Server(NamedTuple):
    """PostgreSQL, for which one waits in a thread."""

    url: str
    shop: str
    is_remote = True

    def provide(self, service: Service) -> None:
        """See that a service's schema is as this release needs it; of views, there are those of the
        machinery. Raises `StoreBroken` if it has yet to be made so by a provisioner."""
        with self._schema(service.name) as schema:
            schema.prepare(*_made(service))

    def provision(self, service: Service, password: str | None = None) -> str:
        """Make it so, as whoever may: schema and role. With a password, that is, for good or anew,
        the role's; the URL for the service, which may then log in."""
        with self._schema(service.name) as schema:
            schema.provision(*_made(service), password)
            return f"postgresql://{schema.schema}:{password}@{self.url.partition('@')[2]}"

    def forget(self, services: Iterable[str]) -> None:
        """Delete the schemas of these services, and their roles."""
        for service in services:
            with self._schema(service) as schema:
                schema.drop()

    def store(self, service: str, replica: str | None = None) -> Store:
        """As that of `Files`."""
        store = self._store(service, replica=replica)
        store.begin()  # which tells what time it is there
        store.rollback()
        return store

    def reading(self, service: str) -> Reading:
        """As that of `Files`."""
        from ecom.stores.postgres_reader import PostgresReader

        return PostgresReader(self.url, schema_of(self.shop, service), GLANCE_SECONDS)

    def try_write(self, service: str) -> None:
        """As that of `Files`."""
        with closing(self._store(service, patience=GLANCE_SECONDS)) as store:
            store.begin()
            store.number(Outbox)  # which a standby refuses

    def _store(self, service: str, **options: Any) -> Any:
        from ecom.stores.postgres import PostgresStore

        return PostgresStore(self.url, schema_of(self.shop, service), **options)

    def _schema(self, service: str) -> AbstractContextManager[Any]:
        from ecom.stores.postgres_schema import PostgresSchema

        return closing(PostgresSchema(self.url, schema_of(self.shop, service)))


def _made(service: Service) -> tuple[tuple[type[Row], ...], dict[str, str]]:
    kinds = (*service.rows, *MACHINERY)
    return kinds, views_of(kinds)


def fill(databases: Files | Server, service: str, rows: Iterable[Row]) -> None:
    """Put these rows into a service's database, but for those that it has by their keys."""
    with closing(databases.store(service)) as store:
        tx = Transaction(store)
        for row in rows:
            if tx[type(row)].get(key_of(row)) is None:
                tx[type(row)].put(row)
        tx.commit()


def databases(settings: Settings) -> Files | Server:
    """Where the services of these settings keep their rows."""
    if settings.database_url is None:
        return Files(settings.folder)
    return Server(settings.database_url, settings.shop)
