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
from hypothesis import strategies as st

from ecom.events import Line
from ecom.stores.base import Counter, Index, Row, StoreBroken, StoreUnavailable, Transaction
from ecom.stores.memory import MemoryStore
from ecom.stores.query import AtMost, MoreThan
from ecom.stores.sqlite import WAL_BYTES, SqliteStore, prepare, try_write


class Lamp(Row, frozen=True):
    table = "lamps"
    indexes = (Index(("due",), filled="due"),)

    name: str
    watts: int = 5
    due: float | None = None
    note: bytes | None = None
    lines: tuple[Line, ...] = ()


@pytest.fixture(params=["sqlite", "memory"])
def store(request, tmp_path):
    if request.param == "memory":
        yield MemoryStore()
    else:
        prepare(tmp_path / "lamps.db", [Lamp, Counter])
        store = SqliteStore(tmp_path / "lamps.db")
        yield store
        store.close()


def saved(store, *lamps):
    transaction = Transaction(store)
    for lamp in lamps:
        transaction[Lamp].put(lamp)
    transaction.commit()


def test_a_committed_row_comes_back_as_it_was(store):
    """Every kind of column survives the way in and out: text, numbers, None, bytes, JSON."""
    lamp = Lamp("TABLE-LAMP", 60, 1.5, b"\x00\xff", (Line("FRILL", 2, 99),))
    saved(store, lamp)
    assert Transaction(store)[Lamp].get("TABLE-LAMP") == lamp


@pytest.mark.parametrize("number", [15, 16, 17, 50])
def test_many_rows_are_written_like_one(store, number):
    """New ones, replaced ones and deleted ones, however many fit one statement."""
    old = [
        Lamp(f"{n:02}", n, float(n), b"\x00", (Line("FRILL", n + 1, 99),)) for n in range(number)
    ]
    saved(store, *old)
    assert Transaction(store)[Lamp].where() == old
    store.rollback()
    new = [msgspec.structs.replace(lamp, watts=7) for lamp in old[1:]]
    transaction = Transaction(store)
    for lamp in new:
        transaction[Lamp].put(lamp)
    transaction[Lamp].delete("00")
    transaction.commit()
    assert Transaction(store)[Lamp].where() == new


def test_a_change_writes_its_columns_and_no_others(store):
    """What another process has made of the rest meanwhile stays; what is gone stays gone."""
    saved(store, Lamp("A", 1), Lamp("B", 2, 7.0, b"b"), Lamp("C", 3))
    lamps = Transaction(store)[Lamp].where()
    store.rollback()
    saved(store, Lamp("A", 9), Lamp("B", 2, 7.0, b"bb"))
    transaction = Transaction(store)
    transaction[Lamp].delete("C")
    transaction.commit()
    transaction = Transaction(store)
    for lamp in lamps:
        transaction[Lamp].change(lamp, due=5.0, note=None)
    assert transaction[Lamp].get("A") == Lamp("A", 1, 5.0)
    transaction.commit()
    assert Transaction(store)[Lamp].where() == [Lamp("A", 9, 5.0), Lamp("B", 2, 5.0)]


def test_changes_of_one_row_add_up(store):
    """New or not, put before or after, undone or not: what is read is what is written."""
    saved(store, Lamp("A", 1), Lamp("B", 2), Lamp("C", 3))
    transaction = Transaction(store)
    lamps = transaction[Lamp]
    lamps.change(lamps.get("A"), watts=11)
    lamps.change(lamps.get("A"), due=1.0)
    lamps.put(Lamp("D", 4, note=b"new"))
    lamps.change(lamps.get("D"), watts=44)
    mark = transaction.savepoint()
    lamps.change(lamps.get("B"), watts=22)
    lamps.change(lamps.get("C"), watts=33)
    transaction.undo_to(mark)
    lamps.put(Lamp("C", 3, 3.0))
    read = lamps.where()
    assert read == [
        Lamp("A", 11, 1.0),
        Lamp("B", 2),
        Lamp("C", 3, 3.0),
        Lamp("D", 44, None, b"new"),
    ]
    transaction.commit()
    assert Transaction(store)[Lamp].where() == read


def test_a_row_that_is_not_there_is_none(store):
    assert Transaction(store)[Lamp].get("NO-SUCH-LAMP") is None


def test_a_transaction_reads_its_own_writes(store):
    """`get` and `where` see puts and deletes that are not committed yet."""
    saved(store, Lamp("A"), Lamp("B"))
    lamps = Transaction(store)[Lamp]
    lamps.put(Lamp("C"))
    lamps.delete("A")
    assert lamps.get("A") is None
    assert [lamp.name for lamp in lamps.where(watts=5)] == ["B", "C"]


def test_a_rolled_back_transaction_leaves_nothing(store):
    transaction = Transaction(store)
    transaction[Lamp].put(Lamp("GHOST"))
    transaction.rollback()
    assert Transaction(store)[Lamp].get("GHOST") is None


def test_undoing_to_a_savepoint_undoes_only_what_came_after(store):
    """How one failing message of a batch is undone while its neighbours stay."""
    saved(store, Lamp("OLD", 1))
    transaction = Transaction(store)
    lamps = transaction[Lamp]
    lamps.put(Lamp("KEPT"))
    mark = transaction.savepoint()
    lamps.put(Lamp("UNDONE"))
    lamps.put(Lamp("KEPT", 99))
    lamps.delete("OLD")
    transaction.undo_to(mark)
    transaction.commit()
    assert Transaction(store)[Lamp].where() == [Lamp("KEPT"), Lamp("OLD", 1)]


def test_where_takes_bounds_and_limits_and_sorts(store):
    """By a bounded column, else by key; bounds never match an empty column; the limit is of
    the merged rows."""
    saved(store, Lamp("C", due=3.0), Lamp("A", due=1.0), Lamp("B", due=2.0), Lamp("Z"))
    lamps = Transaction(store)[Lamp]
    assert [lamp.name for lamp in lamps.where(due=AtMost(2.0))] == ["A", "B"]
    assert [lamp.name for lamp in lamps.where(due=MoreThan(1.0))] == ["B", "C"]
    assert [lamp.name for lamp in lamps.where(due=None)] == ["Z"]
    lamps.delete("A")
    lamps.put(Lamp("D", due=0.5))
    assert [lamp.name for lamp in lamps.where(limit=2, due=AtMost(3.0))] == ["D", "B"]


def test_a_changed_row_no_longer_matches_what_it_was(store):
    saved(store, Lamp("A", 5))
    lamps = Transaction(store)[Lamp]
    lamps.put(msgspec.structs.replace(lamps.get("A"), watts=7))
    assert lamps.where(watts=5) == []


def test_the_first_few_are_the_first_to_be_due(store):
    """The limit cuts after sorting by the bounded column, and counts no row deleted meanwhile."""
    saved(store, Lamp("A", due=3.0), Lamp("B", due=2.0), Lamp("C", due=1.0))
    lamps = Transaction(store)[Lamp]
    assert [lamp.name for lamp in lamps.where(limit=1, due=AtMost(9.0))] == ["C"]
    lamps.delete("C")
    lamps.delete("B")
    assert [lamp.name for lamp in lamps.where(limit=1, due=AtMost(9.0))] == ["A"]


def test_the_store_is_asked_for_no_more_than_is_wanted():
    """However much this transaction has written: a service that is behind asks in each batch."""

    class Counting(MemoryStore):
        given = 0

        def select(self, kind, conditions, limit):
            rows = super().select(kind, conditions, limit)
            self.given += len(rows)
            return rows

    store = Counting()
    saved(store, *(Lamp(f"{n:03}") for n in range(500)))
    lamps = Transaction(store)[Lamp]
    for n in range(500, 900):
        lamps.put(Lamp(f"{n:03}"))
    assert [lamp.name for lamp in lamps.where(limit=3, watts=5)] == ["000", "001", "002"]
    assert store.given == 3


def test_load_reads_what_get_would(store):
    """Rows that exist, rows that do not, and what this transaction has changed already."""
    saved(store, Lamp("A"), Lamp("B"))
    lamps = Transaction(store)[Lamp]
    lamps.put(Lamp("B", 9))
    lamps.load(["A", "B", "C"])
    assert [lamps.get(name) for name in "ABC"] == [Lamp("A"), Lamp("B", 9), None]


def test_counting_is_undone_and_kept_like_any_other_change(store):
    """A counter begins at nought; what a failing message has counted is taken back with it."""
    transaction = Transaction(store)
    assert [transaction.count("lamps"), transaction.count("lamps", 2)] == [1, 3]
    mark = transaction.savepoint()
    transaction.count("lamps")
    transaction.count("shades")
    transaction.undo_to(mark)
    transaction.commit()
    later = Transaction(store)
    assert [later.counted("lamps"), later.counted("shades")] == [3, 0]
    assert later[Counter].where() == [Counter("lamps", 3)]


names, watts = st.sampled_from("ABCD"), st.integers(1, 3)
actions = st.lists(
    st.one_of(
        st.tuples(st.just("put"), names, watts, st.none() | st.sampled_from([0.5, 1.0, 2.0])),
        st.tuples(st.just("delete"), names),
        st.tuples(st.just("get"), names),
        st.tuples(st.just("load"), st.lists(names)),
        st.tuples(st.just("count"), names, st.integers(-1, 2)),
        st.tuples(
            st.just("where"),
            st.sampled_from([None, 0, 1, 2, 9]),
            st.sampled_from(
                [
                    {},
                    {"watts": 2},
                    {"due": None},
                    {"due": AtMost(1.0)},
                    {"due": MoreThan(0.5)},
                    {"watts": MoreThan(1), "due": AtMost(2.0)},
                    {"note": b"x"},
                ]
            ),
        ),
        st.sampled_from([("mark",), ("undo",), ("commit",), ("rollback",)]),
    ),
    max_size=30,
)


def done(store, actions):
    """Everything that was read on the way, and all rows in the end."""
    seen, marks, transaction = [], [], Transaction(store)
    for action, *details in [*actions, ("commit",)]:
        lamps = transaction[Lamp]
        if action in ("commit", "rollback"):
            getattr(transaction, action)()
            marks, transaction = [], Transaction(store)
        elif action == "mark":
            marks.append(transaction.savepoint())
        elif action == "undo":
            transaction.undo_to(marks.pop() if marks else 0)
        elif action == "put":
            lamps.put(Lamp(details[0], details[1], details[2]))
        elif action == "count":
            seen.append(transaction.count(*details))
        elif action == "where":
            seen.append(lamps.where(details[0], **details[1]))
        else:
            seen.append(getattr(lamps, action)(*details))
    seen += [transaction[Lamp].where(), transaction[Counter].where()]
    transaction.rollback()
    return seen


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
    try_write(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        other.execute("CREATE TABLE theirs (x)")
        with pytest.raises(StoreUnavailable):
            try_write(path)
    try_write(path)
