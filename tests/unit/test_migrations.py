"""Databases of other releases, earlier and later: what becomes of them, and what stays."""

import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from ecom.events import Line
from ecom.process.databases import Files
from ecom.runtime.tables import MACHINERY, Handled, Letter, Received, Replica
from ecom.services.order import Order
from ecom.shop.provision import views_of
from ecom.stores import sql
from ecom.stores.base import Index, Row, StoreBroken, Transaction
from ecom.stores.migrations import STEPS, VERSION, SchemaVersion, migrate
from ecom.stores.sqlite import SqliteSchema, SqliteStore, prepare
from ecom_lab.shop import SAGA, SERVICES

NEWER = (Handled, Letter, Received, Replica)  # than the recorded release
RECORDED = Path(__file__).parents[1] / "recorded" / "3531616"


class Lamp(Row, frozen=True):
    table = "lamps"
    indexes = (Index(("watts", "name")),)

    name: str
    watts: int = 5


class LaterLamp(Row, frozen=True):
    """The same lamps, a release later."""

    table = "lamps"
    indexes = (Index(("watts", "name"), filled="sold_at"), Index(("shade",)))

    name: str
    watts: int = 5
    shade: str = "plain"
    sold_at: float | None = None
    lines: tuple[Line, ...] = ()
    wired: bool = True
    image: bytes = b"\x00'"


class Bulb(Row, frozen=True):
    table = "bulbs"

    name: str


@pytest.fixture
def path(tmp_path):
    """A database with one lamp in it."""
    prepare(tmp_path / "lamps.db", [Lamp])
    put(tmp_path / "lamps.db", Lamp("A", 7))
    return tmp_path / "lamps.db"


@pytest.fixture
def recorded(tmp_path):
    """A copy of databases that commit 3531616 has written."""
    shutil.copytree(RECORDED, tmp_path / "shop")
    return tmp_path / "shop"


def put(path, *rows):
    with closing(SqliteStore(path)) as store:
        transaction = Transaction(store)
        for row in rows:
            transaction[type(row)].put(row)
        transaction.commit()


def provide(folder, name):
    service = SAGA.services[name]
    Files(folder).provide(service, views_of(service))


def fetch(path, kind, key):
    with closing(SqliteStore(path)) as store:
        return store.fetch(kind, key)


def schema_of(path):
    """Everything that a database is made of, but for the order of columns and the spelling."""
    with closing(sqlite3.connect(path)) as db:
        made = set(db.execute("SELECT type, name FROM sqlite_master WHERE sql IS NOT NULL"))
        columns = "SELECT name, type, pk FROM pragma_table_info(?)"
        return made, {name: set(db.execute(columns, (name,))) for _, name in made}


# ── What an earlier release has left ──────────────────────────────────────────────────────────
@pytest.mark.parametrize("service", SERVICES)
def test_a_database_of_an_earlier_release_becomes_one_of_this(service, recorded, tmp_path):
    """The same tables, columns, indexes and views as a new one has; no row lost; once is enough."""
    tables = {row.table for row in MACHINERY if row not in NEWER}
    with closing(sqlite3.connect(recorded / f"{service}.db")) as db:
        before = {name: db.execute(f"SELECT count(*) FROM {name}").fetchone() for name in tables}
    provide(recorded, service)
    provide(tmp_path / "new", service)
    migrated, new = (schema_of(folder / f"{service}.db") for folder in (recorded, tmp_path / "new"))
    assert migrated[0] == new[0]
    assert {name: {column[0::2] for column in it} for name, it in migrated[1].items()} == {
        name: {column[0::2] for column in it} for name, it in new[1].items()
    }
    version = fetch(recorded / f"{service}.db", SchemaVersion, "machinery")
    assert version.version == VERSION >= version.oldest_reader
    written = (recorded / f"{service}.db").read_bytes()
    provide(recorded, service)
    assert (recorded / f"{service}.db").read_bytes() == written
    with closing(sqlite3.connect(recorded / f"{service}.db")) as db:
        after = {name: db.execute(f"SELECT count(*) FROM {name}").fetchone() for name in tables}
    assert {name: n for name, n in after.items() if n != before[name]}.keys() <= {"counters"}


def fetch_all(path, kind, **conditions):
    with closing(SqliteStore(path)) as store:
        return store.select(kind, conditions, None)


class Killed(sqlite3.Connection):
    """A connection whose process dies before its `left`-th statement from now."""

    left = 0

    def execute(self, *statement):
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return super().execute(*statement)


@pytest.mark.parametrize("service", ["notification", "audit"])
@pytest.mark.parametrize("old", [True, False])
def test_a_start_may_die_anywhere_and_the_next_one_goes_on(service, old, recorded, tmp_path):
    """Before each statement of the making or the migration, one after the other."""
    folder = recorded if old else tmp_path / "new"
    folder.mkdir(exist_ok=True)
    path, deaths = folder / f"{service}.db", 0
    while True:
        with closing(sqlite3.connect(path, isolation_level=None, factory=Killed)) as db:
            db.left = deaths
            try:
                migrate(SqliteSchema(db), MACHINERY, {})
                break
            except KeyboardInterrupt:
                deaths += 1
    provide(folder, service)
    provide(tmp_path / "whole", service)
    assert schema_of(path)[0] == schema_of(tmp_path / "whole" / f"{service}.db")[0]
    assert deaths > 10


@pytest.mark.parametrize("old", [True, False])
def test_all_may_start_at_once(old, recorded, tmp_path):
    """On a folder that is empty, or of an earlier release: nobody meets a half-made database."""
    folder = recorded if old else tmp_path / "new"
    with ThreadPoolExecutor(10) as pool:
        for starting in [pool.submit(provide, folder, name) for name in SERVICES * 4]:
            starting.result()
    versions = {fetch(folder / f"{name}.db", SchemaVersion, "machinery") for name in SERVICES}
    assert {version.version for version in versions} == {VERSION}


class Overtaken(sqlite3.Connection):
    """A connection before whose `left`-th statement from now another start does all there is."""

    left = 0

    def execute(self, *statement):
        if self.left == 0:
            self.overtake()
        self.left -= 1
        return super().execute(*statement)


@pytest.mark.parametrize("left", range(3))
def test_a_start_that_another_overtakes_as_it_looks_goes_on(left, recorded):
    """It sees the tables and their version as they were together, before or after."""
    path = recorded / "order.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        STEPS[0](SqliteSchema(db), SqliteSchema(db).look())
        db.execute(sql.create_table(SchemaVersion, sql.SQLITE))
        db.execute("INSERT INTO schema_versions VALUES ('machinery', 1, 0)")
    with closing(sqlite3.connect(path, isolation_level=None, factory=Overtaken)) as db:
        db.left, db.overtake = left, lambda: provide(recorded, "order")
        migrate(SqliteSchema(db), MACHINERY, {})
        assert db.left < 0
    assert fetch(path, SchemaVersion, "machinery").version == VERSION


@pytest.mark.parametrize("made", range(6))
def test_what_an_earlier_release_did_not_finish_is_finished(made, recorded, tmp_path):
    """Killed at its first start, it left a file with some of the tables, and never came back."""
    path = recorded / "notification.db"
    with closing(sqlite3.connect(path)) as db:
        of_type = "SELECT name FROM sqlite_master WHERE type = ? AND sql IS NOT NULL"
        for (view,) in db.execute(of_type, ("view",)).fetchall():
            db.execute(f"DROP VIEW {view}")
        for (table,) in db.execute(of_type, ("table",)).fetchall()[made:]:
            db.execute(f"DROP TABLE {table}")
    provide(recorded, "notification")
    provide(tmp_path / "new", "notification")
    assert schema_of(path)[0] == schema_of(tmp_path / "new" / "notification.db")[0]


# ── What a later release will do ──────────────────────────────────────────────────────────────
def test_a_later_release_may_add_columns_and_indexes_and_tables(path):
    """Rows that are there get the defaults; an index that reads otherwise is made."""
    prepare(path, [LaterLamp, Bulb])
    assert fetch(path, LaterLamp, "A") == LaterLamp("A", 7)
    put(path, LaterLamp("B", shade="striped", lines=(Line("FRILL", 1, 99),)), Bulb("E27"))
    assert fetch(path, LaterLamp, "B").lines == (Line("FRILL", 1, 99),)
    made, _ = schema_of(path)
    assert {("index", "lamps_watts_name_if_sold_at"), ("index", "lamps_shade")} < made


def test_what_a_later_release_has_written_survives_this_one(path):
    """Side by side: this one changes the columns that it knows, and its new rows have defaults."""
    prepare(path, [LaterLamp])
    later = LaterLamp("A", 7, "striped", 5.0, (), False, b"png")
    put(path, later)
    prepare(path, [Lamp])
    put(path, Lamp("A", 9), *[Lamp(f"{n:02}") for n in range(20)])
    put(path, *[Lamp(f"{n:02}", 6) for n in range(20)])
    assert fetch(path, LaterLamp, "A") == replace(later, watts=9)
    assert fetch(path, LaterLamp, "07") == LaterLamp("07", 6)


def test_a_later_database_that_may_be_read_is_left_as_it_is(path):
    """Whoever has taken it further has also dropped what is not needed any more."""
    later = SchemaVersion("machinery", VERSION + 1, VERSION)
    put(path, later)
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP INDEX lamps_watts_name")
    before = schema_of(path)
    prepare(path, [Lamp, Bulb], {"seen": "CREATE VIEW seen AS SELECT 1"})
    assert schema_of(path) == before
    assert fetch(path, SchemaVersion, "machinery") == later


def test_a_database_that_only_a_later_release_may_read_is_refused_untouched(path):
    """In one sentence, which tempts nobody to move the file."""
    put(path, SchemaVersion("machinery", VERSION + 2, VERSION + 1))
    before = schema_of(path)
    with pytest.raises(StoreBroken, match="newer release") as refusal:
        prepare(path, [LaterLamp])
    assert not {"move", "delete", "remove"} & set(str(refusal.value).split())
    assert schema_of(path) == before


def test_a_database_without_a_column_that_has_no_default_is_refused_before_anything(recorded):
    """As if another release had renamed it: nothing is consumed, and nothing set aside for it."""
    with closing(sqlite3.connect(recorded / "order.db")) as db:
        db.execute("ALTER TABLE orders RENAME COLUMN total TO amount")
    with pytest.raises(StoreBroken, match="orders lacks the column total"):
        provide(recorded, "order")
    assert len(fetch_all(recorded / "order.db", SchemaVersion)) == 1
    with pytest.raises(StoreBroken, match="no such column: total"):
        fetch(recorded / "order.db", Order, "1001")
