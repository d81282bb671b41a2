"""Schema versions: how a database of an earlier release becomes one of this release.

A database records its schema version, and the oldest version that a reader of it must know. What a
release changes is a step: one transaction, before anything is consumed, by the first process that
starts. Tables, columns with defaults, indexes and views need no step: missing ones are created. A
start looks at the database as it is, so it may be killed anywhere, and the next one continues.
"""

import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from msgspec.structs import fields

from ecom.stores import sql
from ecom.stores.base import Row, StoreBroken
from ecom.stores.reading import Reading
from ecom.stores.sql import Dialect


class SchemaVersion(Row, frozen=True):
    """The schema version of a part of the tables, and the version that a reader must know."""

    table = "schema_versions"

    part: str  # "machinery"; a service may come to have versions of its own
    version: int
    oldest_reader: int


class Found(NamedTuple):
    """What there is in a database."""

    tables: dict[str, set[str]]  # by name: the columns
    indexes: set[str]
    views: dict[str, str]  # by name: the text
    version: SchemaVersion | None
    dialect: Dialect
    numbers: set[str] | None = None  # sequences; None: rows are numbered without

    @property
    def number(self) -> int:
        """The schema's version. A database without one is of the first releases, or empty."""
        if self.version is not None:
            return self.version.version
        return 0 if self.tables else VERSION


class Schema(Protocol):
    """A database whose tables are to be made or changed."""

    execute: Callable[..., Any]  # a statement, whose values are marked by `?`

    def moment(self) -> AbstractContextManager[Any]:
        """What is read within is all of one moment: another start may be migrating just now."""

    def look(self) -> Found:
        """What is there."""

    def alone(self) -> AbstractContextManager[Any]:
        """A transaction, in which no other start is."""


def migrate(db: Schema, kinds: Iterable[type[Row]], views: Mapping[str, str]) -> None:
    """Give a database, new or old, what this release needs: harmless to repeat, also concurrently.

    `views` are texts by name. Changes of a newer release that this one may read stay.
    Raises `StoreBroken` for one that it may not read, or that lacks what no default can replace.
    """
    kinds = [*kinds, SchemaVersion]
    for _ in range(VERSION + 1):
        with db.moment():
            if _is_done(db.look(), kinds, views):
                return
        with db.alone():
            found = db.look()
            if _is_done(found, kinds, views):
                return  # by another start, meanwhile
            version, missing = VERSION, _missing(found, kinds, views)
            if found.number < VERSION:
                STEPS[found.number](db, found)
                version, missing = found.number + 1, _missing(found, kinds[-1:], {})
            for statement in missing:
                db.execute(statement)
            oldest = max(OLDEST_READER, found.version.oldest_reader if found.version else 0)
            db.execute(sql.put(SchemaVersion, 3, 1), ("machinery", version, oldest))


def version_in(db: Reading, tables: Container[str]) -> SchemaVersion | None:
    """What a database with these tables says of its version."""
    return db.fetch(SchemaVersion, "machinery") if SchemaVersion.table in tables else None


def check_readable(version: SchemaVersion | None, where: str) -> None:
    """Raises `StoreBroken` if a database of this version is beyond this release."""
    if version is not None and version.oldest_reader > VERSION:
        raise StoreBroken(
            f"{where} was written by a newer release of this package (its schema {version.version}"
            f" asks for readers of {version.oldest_reader}, this is one of {VERSION}): use that "
            "release; nothing was changed."
        )


# ── Steps ─────────────────────────────────────────────────────────────────────────────────────
def _name_indexes(db: Schema, found: Found) -> None:
    """Indexes were numbered, so that a changed one was never made. They are made anew, by name."""
    for name in found.indexes:
        table, _, number = name.rpartition("_")
        if table in found.tables and re.fullmatch("[0-9]+", number):
            db.execute(f"DROP INDEX {name}")


def _name_the_subject(db: Schema, found: Found) -> None:
    """The machinery's rows belong to a saga, which need not be an order."""
    for table in ("inbox", "outbox", "effects", "timers"):
        if "order_id" in found.tables.get(table, ()):
            db.execute(f"ALTER TABLE {table} RENAME COLUMN order_id TO subject")  # views follow
            db.execute(f"DROP INDEX IF EXISTS {table}_order_id")


STEPS = (_name_indexes, _name_the_subject)  # each from one version to the next
VERSION = len(STEPS)
OLDEST_READER = 2  # the oldest version whose releases may work with what the steps leave


# ── What needs no step ────────────────────────────────────────────────────────────────────────
def _is_done(found: Found, kinds: list[type[Row]], views: Mapping[str, str]) -> bool:
    check_readable(found.version, "The database")
    if found.version is None or found.number != VERSION:
        return found.number > VERSION
    return not any(_missing(found, kinds, views))


def _missing(found: Found, kinds: list[type[Row]], views: Mapping[str, str]) -> Iterator[str]:
    """The statements that make what is not there, or not as it should be."""
    for kind in kinds:
        columns = found.tables.get(kind.table)
        if columns is None:
            yield sql.create_table(kind, found.dialect)
        else:
            new = (field for field in fields(kind) if field.name not in columns)
            yield from (sql.add_column(kind, field, found.dialect) for field in new)
        numbers = f"{kind.table}_numbers"
        if kind.numbers and found.numbers is not None and numbers not in found.numbers:
            yield f"CREATE SEQUENCE {numbers}"
        indexes = sql.create_indexes(kind).items()
        yield from (statement for name, statement in indexes if name not in found.indexes)
    for name, text in views.items():
        if found.views.get(name) != text:
            if name in found.views:
                yield f"DROP VIEW {name}"
            yield text
