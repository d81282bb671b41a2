"""Reading databases from outside: what is asked for, and nothing is disturbed."""

from contextlib import closing

import pytest

from ecom.errors import ShopError
from ecom.stores.base import Counter, Row, StoreBroken, Transaction
from ecom.stores.migrations import VERSION, SchemaVersion
from ecom.stores.query import ANY, AtMost, MoreThan
from ecom.stores.reader import Reader
from ecom.stores.sqlite import SqliteStore, prepare


class Lamp(Row, frozen=True):
    table = "lamps"

    name: str
    watts: int
    due: float | None = None
    shades: tuple[str, ...] = ()


LAMPS = [Lamp("A", 5, 1.0, ("red",)), Lamp("B", 5), Lamp("C", 7, 3.0)]


@pytest.fixture
def store(tmp_path):
    """A store with three lamps, in a folder that is read."""
    prepare(tmp_path / "lamps.db", [Lamp, Counter])
    with closing(SqliteStore(tmp_path / "lamps.db")) as store:
        put(store, *LAMPS)
        yield store


@pytest.fixture
def read(store, tmp_path):
    with Reader(tmp_path) as reader:
        yield reader["lamps"]


def put(store, *rows):
    transaction = Transaction(store)
    for row in rows:
        transaction[type(row)].put(row)
    transaction.count("lamps", len(rows))
    transaction.commit()


def test_rows_and_their_columns_are_found_under_conditions(read):
    """As `where` has them; columns are as they are stored."""
    assert read.rows(Lamp) == LAMPS
    assert read.rows(Lamp, watts=5, due=None) == LAMPS[1:2]
    assert read.values(Lamp, "name", "shades", due=AtMost(2.0)) == [("A", '["red"]')]
    with pytest.raises(KeyError, match="lamps has no column volts"):
        read.values(Lamp, "volts")


def test_rows_are_counted_and_compared_where_they_are(read):
    assert (read.count(Lamp), read.count(Lamp, due=ANY), read.count(Lamp, watts=9)) == (3, 2, 0)
    assert read.tally(Lamp, "watts") == {5: 2, 7: 1}
    assert read.least(Lamp, "due", watts=MoreThan(5)) == 3.0
    assert read.least(Lamp, "due", watts=9) is None
    assert read.counters() == {"lamps": 3}


def test_a_table_is_read_as_it_is_by_its_key(read):
    assert read.tables() == ["counters", "lamps", "schema_versions"]
    columns, rows = read.table("lamps")
    assert columns == ["name", "watts", "due", "shades"]
    assert rows[0] == ("A", 5, 1.0, '["red"]')


def test_within_a_moment_nothing_changes(read, store):
    """While others write; afterwards, all of it is seen."""
    with read.moment():
        assert read.count(Lamp) == 3
        put(store, Lamp("D", 9))
        assert (read.count(Lamp), read.counters()) == (3, {"lamps": 3})
    assert (read.count(Lamp), read.counters()) == (4, {"lamps": 4})


def test_a_reader_cannot_write(read):
    with pytest.raises(StoreBroken, match="readonly"):
        put(read, Lamp("D", 9))


def test_what_cannot_be_read_is_told_in_a_sentence(store, tmp_path):
    """A database that there is not; one that a later release has written."""
    with Reader(tmp_path) as reader, pytest.raises(ShopError, match=r"no database .*bulbs\.db"):
        reader["bulbs"]
    put(store, SchemaVersion("machinery", VERSION + 1, VERSION + 1))
    with Reader(tmp_path) as reader, pytest.raises(StoreBroken, match="newer release"):
        reader["lamps"]
