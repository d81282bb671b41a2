"""One contract for every store: what holds for SQLite must hold for the simulator's memory."""

import sqlite3
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import msgspec
import pytest
from helpers import steady
from hypothesis import given
from store_contract import *  # noqa: F403
from store_contract import Lamp, actions, done, saved

from ecom.process.databases import Files
from ecom.stores.base import Counter, StoreBroken, StoreUnavailable, Transaction
from ecom.stores.memory import MemoryStore
from ecom.stores.sqlite import WAL_BYTES, SqliteStore, prepare


@pytest.fixture(params=["sqlite", "memory"])
def store(request, tmp_path):
    if request.param == "memory":
        yield MemoryStore()
    else:
        prepare(tmp_path / "lamps.db", [Lamp, Counter])
        store = SqliteStore(tmp_path / "lamps.db")
        yield store
        store.close()


def test_the_store_is_asked_for_no_more_than_is_wanted():
    """However much this transaction has written: a service that is behind asks in each batch."""

    class Counting(MemoryStore):
        given = 0

        def select(self, *what):
            rows = super().select(*what)
            self.given += len(rows)
            return rows

    store = Counting()
    saved(store, *(Lamp(f"{n:03}") for n in range(500)))
    lamps = Transaction(store)[Lamp]
    for n in range(500, 900):
        lamps.put(Lamp(f"{n:03}"))
    assert [lamp.name for lamp in lamps.where(limit=3, watts=5)] == ["000", "001", "002"]
    assert store.given == 3


@steady
@given(actions)
def test_both_stores_do_the_same_whatever_is_asked_of_them(actions):
    """Reads, writes, savepoints, commits and rollbacks in any order: row for row."""
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder) / "lamps.db", [Lamp, Counter])
        with closing(SqliteStore(Path(folder) / "lamps.db")) as store:
            assert done(store, actions) == done(MemoryStore(), actions)


@pytest.fixture
def file(tmp_path):
    """A database with one lamp that counts."""
    prepare(tmp_path / "lamps.db", [Lamp])
    with closing(SqliteStore(tmp_path / "lamps.db")) as store:
        saved(store, Lamp("COUNTER", 0))
    return tmp_path / "lamps.db"


def begun(store):
    """A transaction, or None while another one is open for too long."""
    with suppress(StoreUnavailable):
        return Transaction(store)


def count_up(file, times):
    with closing(SqliteStore(file)) as store:
        for _ in range(times):
            while not (transaction := begun(store)):
                pass
            lamp = transaction[Lamp].get("COUNTER")
            transaction[Lamp].put(msgspec.structs.replace(lamp, watts=lamp.watts + 1))
            transaction.commit()


def test_two_writers_at_once_lose_nothing(file):
    """Reading and then writing is one step: processes of one service share a database."""
    with ThreadPoolExecutor(3) as pool:
        for counting in [pool.submit(count_up, file, 50) for _ in range(3)]:
            counting.result()
    with closing(SqliteStore(file)) as store:
        assert store.fetch(Lamp, "COUNTER").watts == 150


def test_a_database_that_is_locked_is_unavailable_and_unchanged(file):
    """Raised when the transaction begins, so nothing has to be undone; later all is well."""
    with closing(SqliteStore(file)) as other, closing(SqliteStore(file)) as store:
        holding = Transaction(other)
        with pytest.raises(StoreUnavailable, match="locked"):
            Transaction(store)
        holding.rollback()
        saved(store, Lamp("COUNTER", 7))
        assert other.fetch(Lamp, "COUNTER").watts == 7


def test_a_log_that_grew_for_a_reader_is_cut_once_that_has_gone(file):
    """It grows while somebody reads on; the disk has its room again after the next commits."""
    wal = file.with_suffix(".db-wal")
    with closing(SqliteStore(file)) as store, closing(sqlite3.connect(file)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM lamps").fetchall()
        for n in range(50):
            saved(store, Lamp(str(n), note=bytes(WAL_BYTES // 20)))
        assert wal.stat().st_size > 2 * WAL_BYTES
        reader.close()
        for n in range(3):
            saved(store, Lamp(str(n)))
        assert wal.stat().st_size <= WAL_BYTES


def test_a_commit_that_fails_changes_nothing_and_can_be_repeated(file):
    """A full disk, say: here, a database that may not grow by a page."""
    with closing(SqliteStore(file)) as store:
        store._db.execute("PRAGMA max_page_count = 1")
        with pytest.raises(StoreUnavailable, match="full"):
            saved(store, Lamp("NEW"), *[Lamp(str(n), note=bytes(9_000)) for n in range(9)])
        assert store.select(Lamp, {}, None) == [Lamp("COUNTER", 0)]
        store._db.execute("PRAGMA max_page_count = 100000")
        saved(store, Lamp("NEW"))
        assert store.fetch(Lamp, "NEW") == Lamp("NEW")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda db: db.execute("ALTER TABLE lamps DROP COLUMN note"), "no such column"),
        (lambda db: db.execute("DROP TABLE lamps"), "no such table"),
    ],
)
def test_a_database_of_another_version_is_broken_and_not_worth_waiting_for(file, damage, said):
    """Reading or writing it raises what is not retried, and says what to do."""
    with closing(sqlite3.connect(file)) as db:
        damage(db)
    with closing(SqliteStore(file)) as store:
        with pytest.raises(StoreBroken, match=f"{said}.*another release"):
            store.fetch(Lamp, "COUNTER")
        with pytest.raises(StoreBroken, match="another release"):
            saved(store, Lamp("NEW"))


def test_a_file_that_is_no_database_is_broken(file):
    """Not a moment's trouble either."""
    with closing(SqliteStore(file)) as store:
        file.write_bytes(b"no lamp has ever been in here" * 1_000)
        file.with_suffix(".db-wal").unlink(missing_ok=True)
        with pytest.raises(StoreBroken):
            store.fetch(Lamp, "COUNTER")


def test_creating_again_keeps_what_there_is(file):
    """Also when several processes do it at once."""
    with ThreadPoolExecutor(4) as pool:
        for creating in [pool.submit(prepare, file, [Lamp]) for _ in range(8)]:
            creating.result()
    with closing(SqliteStore(file)) as store:
        assert store.fetch(Lamp, "COUNTER") == Lamp("COUNTER", 0)


def test_a_database_that_another_has_for_itself_is_unavailable_and_then_is_not(tmp_path):
    """Not even to be opened: whoever tries is told so, as of a lock that somebody holds."""
    path = tmp_path / "order.db"
    prepare(path, [])
    Files(tmp_path).try_write("order")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        other.execute("CREATE TABLE theirs (x)")
        with pytest.raises(StoreUnavailable):
            Files(tmp_path).try_write("order")
    Files(tmp_path).try_write("order")


def test_no_two_processes_have_one_name(tmp_path):
    """Where one has it, another is told in a sentence; once it has gone, its name is free."""
    path = tmp_path / "lamps.db"
    prepare(path, [Lamp, Counter])
    first, other = SqliteStore(path, "1"), SqliteStore(path, "2")
    with pytest.raises(StoreUnavailable, match=r"is replica 1 of .*lamps.db: end that one, or"):
        SqliteStore(path, "1")
    for each in first, other, SqliteStore(path):
        saved(each, Lamp("A"))
        each.close()
    SqliteStore(path, "1").close()
