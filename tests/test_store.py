"""One contract for every store: what holds for SQLite must hold for the simulator's memory."""

import msgspec
import pytest

from ecom.events import Line
from ecom.memory import MemoryStore
from ecom.sqlite import SqliteStore, create
from ecom.store import AtMost, MoreThan, Row, Transaction


class Lamp(Row, frozen=True):
    table = "lamps"
    indexes = ("(due) WHERE due IS NOT NULL",)

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
        create(tmp_path / "lamps.db", [Lamp])
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
