"""The contract of all stores: tests that take a `store` with tables of `Lamp` and `Counter`.

Whoever has one imports them all: `from store_contract import *`.
"""

import msgspec
import pytest
from hypothesis import strategies as st

from ecom.events import Line
from ecom.stores.base import Counter, Index, Row, Transaction
from ecom.stores.query import AtMost, MoreThan


class Lamp(Row, frozen=True):
    table = "lamps"
    indexes = (Index(("due",), filled="due"),)

    name: str
    watts: int = 5
    due: float | None = None
    note: bytes | None = None
    lines: tuple[Line, ...] = ()


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
