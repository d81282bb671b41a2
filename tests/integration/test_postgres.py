"""The store in PostgreSQL: the contract of all stores, and what writers do to each other."""

import pickle
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
import pytest
from helpers import EXAMPLES, delivery, steady, wire
from hypothesis import given
from msgspec import DecodeError, structs
from severing import Severed
from store_contract import *  # noqa: F403
from store_contract import Lamp, actions, done, saved

from ecom.errors import ShopError
from ecom.events import Line
from ecom.harness import postgres
from ecom.harness.dead_letters.dry_run import run_here
from ecom.harness.postgres import Cluster, NoPostgres
from ecom.process.databases import Server, fill
from ecom.runtime.dead_letters import OVERRIDE
from ecom.runtime.messages import Publish, PublisherUp, TallyDue, Tick
from ecom.runtime.relay import Relay
from ecom.runtime.runtime import Runtime
from ecom.runtime.tables import MACHINERY, Letter, Outbox
from ecom.services.inventory import COMMITTED, Reservation, Stock
from ecom.settings import write_private
from ecom.stores import postgres_schema
from ecom.stores.base import Counter, Row, StoreBroken, StoreUnavailable, Transaction
from ecom.stores.memory import MemoryStore
from ecom.stores.migrations import VERSION, SchemaVersion
from ecom.stores.postgres import PostgresStore
from ecom.stores.postgres_reader import check_url
from ecom.stores.postgres_schema import PostgresSchema
from ecom.stores.query import AtMost
from ecom.stores.reader import SERVER, schema_of
from ecom.stores.views import views_of
from ecom_lab.chaos.faults.databases import away
from ecom_lab.shop import SAGA

# Of `cluster`, which has scope="module": tests that share one stay together.
INVENTORY = (*SAGA.services["inventory"].rows, *MACHINERY)
ORDER = EXAMPLES["order.created"]  # 1001, for two TEA-COSY


def schema(url, name="lamps"):
    """A schema to be made, by whoever the address names."""
    return closing(PostgresSchema(url, name))


def provision(url, kinds):
    """Make the schema with tables of these kinds."""
    with schema(url) as it:
        it.provision(kinds, {})


@pytest.fixture
def admin(cluster):
    """A connection that may do everything."""
    with psycopg.connect(cluster.url, autocommit=True) as db:
        yield db


@pytest.fixture
def opened(cluster):
    """Opens stores over one new schema."""
    stores = []

    def open(*kinds, url=cluster.url, **options):
        if not stores:
            provision(cluster.url, kinds)
        stores.append(PostgresStore(url, "lamps", **options))
        return stores[-1]

    yield open
    for each in stores:
        each.close()
    with psycopg.connect(cluster.url, autocommit=True) as db:
        db.execute("DROP SCHEMA IF EXISTS lamps CASCADE; DROP ROLE IF EXISTS lamps")


@pytest.fixture
def store(opened):
    return opened(Lamp, Counter)


@pytest.fixture
def other(store, opened):
    """Another writer over the same tables."""
    return opened()


@pytest.fixture
def waits(admin, wait_for):
    """Begins something in a thread, and returns once it waits for another's transaction."""
    with ThreadPoolExecutor() as pool:

        def begin(function, *arguments):
            begun = pool.submit(function, *arguments)
            query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            wait_for(lambda: begun.done() or admin.execute(query).fetchone()[0])
            assert not begun.done(), "it had not to wait"
            return begun

        yield begin


# ── What the contract says ────────────────────────────────────────────────────────────────────
@steady
@given(actions)
def test_it_does_the_same_as_memory_whatever_is_asked_of_it(store, actions):
    """Reads, writes, savepoints, commits and rollbacks in any order: row for row."""
    store.rollback()
    store.connected().execute("TRUNCATE lamps, counters")
    assert done(store, actions) == done(MemoryStore(), actions)


def test_text_is_sorted_by_its_characters_and_keeps_all_but_nul(store):
    """As Python sorts it, whatever the database's locale; NUL, which PostgreSQL does not keep, is
    replaced: it comes in the words of errors, and must not stop a service."""
    names = ["Z", "a", "ä", "é", "€", "😀"]
    saved(store, *map(Lamp, reversed(names)))
    assert [lamp.name for lamp in Transaction(store)[Lamp].where()] == sorted(names)
    store.rollback()
    transaction = Transaction(store)
    transaction[Counter].put(Counter("nul\0", 1))
    transaction.commit()
    assert Transaction(store)[Counter].where() == [Counter("nul\ufffd", 1)]


def test_nul_is_replaced_where_a_single_column_is_changed(opened):
    """As it is in whole rows."""
    store = opened(Letter)
    transaction = Transaction(store)
    transaction[Letter].put(Letter(1, "failed", "e-1", "lamp.lit", "A", "", 1, 0.0))
    transaction.commit()
    transaction = Transaction(store)
    transaction[Letter].change(transaction[Letter][1], why="nul\0")
    transaction.commit()
    assert store.fetch(Letter, 1).why == "nul\ufffd"


def test_numbers_of_all_sizes_and_nothing_can_be_in_one_column(store):
    """Whatever a batch has before: an array is of one type, and values are not."""
    for wide in (1, 70_000, 2**40):
        lamps = [Lamp("A", 1, 2, b"\0\xff"), Lamp("B", -wide, 0.5), Lamp("C", wide)]
        saved(store, *lamps)
        saved(store, Lamp("D", wide))
        assert Transaction(store)[Lamp].where() == [*lamps, Lamp("D", wide)]
        store.rollback()


# ── Two writers ───────────────────────────────────────────────────────────────────────────────
def test_what_is_read_by_key_waits_for_whoever_is_changing_it(store, other, waits):
    """And then has the change: no update is lost."""
    saved(store, Lamp("A", 10))
    first, second = Transaction(store), Transaction(other)
    first[Lamp].put(Lamp("A", first[Lamp]["A"].watts - 3))
    reading = waits(second[Lamp].get, "A")
    first.commit()
    second[Lamp].put(Lamp("A", reading.result().watts - 3))
    second.commit()
    assert store.fetch(Lamp, "A") == Lamp("A", 4)


def test_what_is_found_by_its_columns_does_not_change_either(store, other, waits):
    """Nor is it found any more, if the other has made it something else."""
    saved(store, Lamp("A", 10), Lamp("B", 10))
    first, second = Transaction(store), Transaction(other)
    first[Lamp].put(Lamp("A", 99))
    first[Lamp].get("A")
    assert store.fetch(Lamp, "A")
    finding = waits(lambda: second[Lamp].where(watts=10))
    first.commit()
    assert finding.result() == [Lamp("B", 10)]


def count_up(url, times):
    with closing(PostgresStore(url, "lamps")) as store:
        for _ in range(times):
            transaction = Transaction(store)
            lamp = transaction[Lamp]["COUNTER"]
            transaction[Lamp].put(structs.replace(lamp, watts=lamp.watts + 1))
            transaction.commit()


def test_many_writers_at_once_lose_nothing(store, cluster):
    """Reading and then writing is one step, without a retry."""
    saved(store, Lamp("COUNTER", 0))
    with ThreadPoolExecutor(3) as pool:
        for counting in [pool.submit(count_up, cluster.url, 50) for _ in range(3)]:
            counting.result()
    assert store.fetch(Lamp, "COUNTER").watts == 150


def test_what_two_have_not_found_only_one_inserts(store, other):
    """The other is told to try again, and then finds it: nothing is done twice, nor overwritten."""
    first, second = Transaction(store), Transaction(other)
    assert [it[Lamp].get("A") for it in (first, second)] == [None, None]
    first[Lamp].put(Lamp("A", 1))
    second[Lamp].put(Lamp("A", 2))
    first.commit()
    with pytest.raises(StoreUnavailable, match="duplicate key"):
        second.commit()
    assert Transaction(other)[Lamp].get("A") == Lamp("A", 1)


def test_whoever_has_met_a_conflict_goes_on_as_before(store, other):
    """Also with statements that the database was just about to prepare for being asked so often."""

    def begun(store, name):
        transaction = Transaction(store)
        assert transaction[Lamp].get(name) is None
        transaction[Lamp].put(Lamp(name))
        transaction[Counter].put(Counter(name, 1))
        return transaction

    for n in range(12):
        first, second = begun(store, f"{n}"), begun(other, f"{n}")
        first.commit()
        with pytest.raises(StoreUnavailable):
            second.commit()
        begun(other, f"{n} again").commit()
    assert len(Transaction(other)[Counter].where()) == 24


def test_work_that_one_has_taken_others_pass_over(store, other):
    """They neither wait nor do it again; what is only looked at, everybody sees."""
    saved(store, Lamp("A", due=1.0), Lamp("B", due=2.0), Lamp("C", due=3.0))
    first, second = Transaction(store), Transaction(other)
    due = AtMost(9.0)
    assert [it.name for it in first[Lamp].take(limit=2, due=due)] == ["A", "B"]
    assert [it.name for it in second[Lamp].take(limit=2, due=due)] == ["C"]
    assert [it.name for it in second[Lamp].look(limit=2, due=due)] == ["A", "B"]


def is_refused(ask):
    """Whether it is, as part of a deadlock."""
    try:
        return ask() is None
    except StoreUnavailable as error:
        return "deadlock" in str(error)


def deadlocked(store, other, waits):
    """Two read the rows A and B, each the other's first one first: the one that is refused, then
    the other."""
    first, second = Transaction(store), Transaction(other)
    first[Lamp].get("A")
    second[Lamp].get("B")
    waiting = waits(second[Lamp].get, "A")
    asked = {store: lambda: first[Lamp].get("B"), other: waiting.result}
    (again,) = (it for it, ask in asked.items() if is_refused(ask))
    (spare,) = asked.keys() - {again}
    for it in asked:
        it.rollback()
    return again, spare


def test_a_deadlock_is_tried_again_with_the_locks_in_one_order(store, other, waits):
    """From then on, who was refused locks both, the least first, whichever it needs: so it holds
    nothing while it waits."""
    saved(store, Lamp("A"), Lamp("B"))
    again, spare = deadlocked(store, other, waits)
    holding = Transaction(spare)
    holding[Lamp].get("A")
    third = Transaction(again)
    waiting = waits(third[Lamp].get, "B")  # for A, and without having locked B
    assert holding[Lamp].get("B") == Lamp("B")
    holding.commit()
    assert waiting.result() == Lamp("B")


def test_one_deadlock_is_enough_to_learn_from(store, other, waits):
    """What else of its kind is needed then is locked with the rest, and costs none of its own."""
    saved(store, Lamp("A"), Lamp("B"), Lamp("C"))
    again, spare = deadlocked(store, other, waits)
    third = Transaction(again)
    third[Lamp].get("C")
    third.commit()
    holding = Transaction(spare)
    holding[Lamp].get("C")
    waiting = waits(Transaction(again)[Lamp].get, "A")  # for C
    holding.commit()
    assert waiting.result() == Lamp("A")


def test_who_is_refused_locks_what_it_needed_lately_too(store, other, waits):
    """It has not said yet what else it needs; most likely that, and else each costs a deadlock."""
    saved(store, *map(Lamp, "ABCDE"))
    for each in (store, other):
        for names in "CD", "E":
            before = Transaction(each)
            assert [before[Lamp][name].name for name in names] == [*names]
            before.commit()
    again, spare = deadlocked(store, other, waits)
    holding = Transaction(spare)
    holding[Lamp].get("C")
    waiting = waits(Transaction(again)[Lamp].get, "A")  # for C
    holding.commit()
    assert waiting.result() == Lamp("A")


def test_without_a_conflict_nobody_waits_for_rows_that_another_does_not_need(store, other):
    """Rows that were once needed in one transaction, products of several orders, are no more
    locked together: else no two replicas could work at once."""
    saved(store, Lamp("A"), Lamp("B"))
    before = Transaction(store)
    assert [before[Lamp].get(name) for name in "BA"] == [Lamp("B"), Lamp("A")]
    before.commit()
    Transaction(store)[Lamp].get("B")
    assert Transaction(other)[Lamp].get("A") == Lamp("A")


def round_trips(store, monkeypatch, do):
    """How often the server is asked, meanwhile, for rows or numbers."""
    asked, run = [], store._run
    with monkeypatch.context() as patch:
        patch.setattr(store, "_run", lambda *it: asked.append(it) or run(*it))
        transaction = Transaction(store)
        do(transaction)
        transaction.commit()
    return len(asked)


def test_what_two_transactions_in_a_row_needed_costs_the_third_one_round_trip(store, monkeypatch):
    """Batches need the same few products and counters again and again; what only one needed is not
    fetched, nor locked, before it is needed."""
    saved(store, *map(Lamp, "ABC"))

    def needing(names):
        def do(transaction):
            assert [transaction[Lamp][name].name for name in names] == [*names]

        return round_trips(store, monkeypatch, do)

    assert [needing(names) for names in ("AB", "BA", "BCA", "CA", "AB")] == [2, 2, 2, 1, 2]


class Lantern(Row, frozen=True):
    """A lamp, as a release that knows no lines of an order writes it."""

    table = "lamps"

    name: str
    lines: tuple[str, ...] = ("none",)


def test_a_row_that_cannot_be_read_is_never_taken_for_none(store):
    """However often it is asked for, and it harms no other row that was needed with it."""
    saved(store, Lamp("A"), Lamp("B"))
    transaction = Transaction(store)
    transaction[Lantern].put(Lantern("A"))
    transaction.commit()
    for _ in range(3):
        transaction = Transaction(store)
        for _ in range(2):
            with pytest.raises(DecodeError):
                transaction[Lamp].get("A")
        assert transaction[Lamp].get("B") == Lamp("B")
        transaction.commit()
    transaction = Transaction(store)
    assert transaction[Lamp].get("B") == Lamp("B")
    with pytest.raises(DecodeError):
        transaction[Lamp].get("A")


def test_a_row_is_found_by_its_key_however_small_the_table_was(store, admin):
    """Plans are kept: one that reads the whole of a table with one row would read it for ever."""
    saved(store, Lamp("A"))
    admin.execute("ANALYZE lamps.lamps")
    (plan,) = store.connected().execute("EXPLAIN SELECT FROM lamps WHERE name = 'A'").fetchone()
    assert "Index" in plan


class Ticket(Row, frozen=True):
    table = numbers = "tickets"

    n: int


def test_as_many_numbers_as_the_last_transaction_needed_are_drawn_at_once(opened, monkeypatch):
    """And half as many again, or more, if that was too few; what is not needed is not kept for the
    next. Whoever needs one draws one: orders that are placed one by one have numbers in a row."""
    store = opened(Ticket, Counter)

    def drawing(numbers):
        def do(transaction):
            drawn.extend(transaction.number(Ticket) for _ in range(numbers))

        return round_trips(store, monkeypatch, do)

    drawn = []
    assert [drawing(n) for n in (9, 9, 13, 1, 1, 1, 2)] == [5, 1, 1, 1, 1, 1, 2]
    assert drawn == sorted(drawn)
    assert drawn[-1] < 80
    assert drawn[-3] == drawn[-4] + 1


def test_nobody_waits_for_a_number(opened):
    """Two draw numbers at once, in turns; all differ, and each one's grow."""
    first, second = Transaction(opened(Ticket, Counter)), Transaction(opened())
    drawn = [(first.number(Ticket), second.number(Ticket)) for _ in range(100)]
    ours, theirs = zip(*drawn, strict=True)
    assert len({*ours, *theirs}) == 200
    assert [sorted(ours), sorted(theirs)] == [list(ours), list(theirs)]
    first.rollback()
    assert Transaction(opened()).number(Ticket) > max(*ours, *theirs)


# ── Two replicas of a service ─────────────────────────────────────────────────────────────────
@pytest.fixture
def inventories(opened):
    """Two runtimes of the inventory service over the same tables, connected to their broker."""
    stores = opened(*INVENTORY), opened()
    transaction = Transaction(stores[0])
    transaction[Stock].put(Stock("TEA-COSY", 3, 3))
    transaction.commit()
    runtimes = [Runtime(SAGA, "inventory", it, f"R{n}", lambda: 0.5) for n, it in enumerate(stores)]
    for runtime in runtimes:
        step(runtime, PublisherUp())
    return runtimes


def step(runtime, *inputs, now=0.0):
    """One step, carried out."""
    return list(begin(runtime, *inputs, now=now)())


def begin(runtime, *inputs, now=0.0):
    """A step up to its commit; what it returns carries it out, and gives its outputs."""
    outputs = runtime.step(inputs, now)
    commit = next(outputs)

    def rest():
        commit.transaction.commit()
        return list(outputs)

    return rest


def published(outputs):
    return [(it.row.type, it.row.subject) for it in outputs if isinstance(it, Publish)]


def test_two_orders_race_for_the_last_units(inventories, waits):
    """Three are there, each order wants two: the second one waits for the first, and fails."""
    first = begin(inventories[0], delivery(ORDER, "e-1"))
    racing = waits(step, inventories[1], delivery(structs.replace(ORDER, order_id="1002"), "e-2"))
    assert published(first()) == [("inventory.processed", "1001")]
    assert published(racing.result()) == [("inventory.failed", "1002")]


class Unhurried(PostgresStore):
    """A store that has written everything long before it commits."""

    def commit(self):
        self._flush(self.connected())
        self._writes.clear()


def test_replicas_do_not_wait_for_what_they_count(inventories, opened, cluster):
    """One is about to commit an order, with all its rows written: the other handles another order,
    a duplicate, a tick, and tells how many events there are, without a row that it had to wait for.
    (To wait is to fail, after some seconds.)"""
    kite = structs.replace(ORDER, order_id="1000", lines=(Line("KITE", 1, 900),))
    inputs = delivery(kite, "e-1"), delivery(kite, "e-1"), Tick(), TallyDue()
    with closing(Unhurried(cluster.url, "lamps")) as busy:
        about = Runtime(SAGA, "inventory", busy, "1", lambda: 0.5)
        step(about, delivery(ORDER, "e-0"), delivery(ORDER, "e-0"), Tick(), TallyDue())
        assert published(step(inventories[1], *inputs)) == [("inventory.failed", "1000")]
        PostgresStore.commit(busy)
    found = {row.name: row.value for row in opened().select(Counter, {}, None)}
    assert found == {
        f"{name}{mark}": 1
        for mark, event in (("", "processed"), ("@R1", "failed"))
        for name in ("duplicates", "handled:order.created", f"emitted:inventory.{event}")
    }


def test_an_event_that_is_delivered_to_two_is_handled_once(inventories, opened, waits):
    """Neither has it in its inbox; the one that comes second tries again, and there it is."""
    first = begin(inventories[0], delivery(ORDER))
    racing = waits(step, inventories[1], delivery(ORDER))
    first()
    with pytest.raises(StoreUnavailable):
        racing.result()
    step(inventories[1], delivery(ORDER))
    store = opened()
    assert store.select(Stock, {}, None) == [Stock("TEA-COSY", 3, 1, 2)]
    assert len(store.select(Outbox, {}, None)) == 1


def test_what_is_due_is_done_by_one_replica(inventories, opened):
    """A payment that came before its order is tried again: while one does, the other finds nothing
    to do, and does not wait."""
    step(inventories[0], delivery(EXAMPLES["payment.processed"], "e-0"))
    step(inventories[0], delivery(ORDER, "e-1"))
    first = begin(inventories[0], Tick(), now=10.0)
    second = begin(inventories[1], Tick(), now=10.0)
    outputs = [published(rest()) for rest in (first, second)]
    assert sorted(outputs) == [[], [("inventory.committed", "1001")]]
    store = opened()
    assert store.fetch(Reservation, "1001").state == COMMITTED
    assert store.select(Stock, {}, None) == [Stock("TEA-COSY", 3, 1, 0, 2)]


def numbers(store, how_many):
    """Numbers for rows, drawn in a transaction of their own."""
    transaction = Transaction(store)
    drawn = [transaction.number(Outbox) for _ in range(how_many)]
    transaction.rollback()
    return drawn


def sent(relay, store, *numbers, now=0.0, ticked=False, dead=()):
    """Write rows of these numbers as this replica; the numbers of those that it sends then."""
    transaction = Transaction(store)
    for seq in numbers:
        row = Outbox(seq, f"e-{seq}", "lit", "A", "events", {}, b"", now, relay._owner)
        transaction[Outbox].put(row)
    chosen = relay.choose(transaction, now, ticked, dead)
    transaction.commit()
    relay.started(chosen)
    return [row.seq for row in chosen]


def test_no_row_is_passed_over_for_a_greater_number_of_anothers(opened):
    """Numbers are drawn in another order than transactions are committed; and what is taken over
    from a replica that has gone may have a greater one than a row that is written later."""
    stores = opened(*MACHINERY), opened()
    first, second = (Relay(Outbox, name, 100) for name in ("R1", "R2"))
    before, greater = numbers(stores[0], 3), numbers(stores[1], 1)
    assert sent(second, stores[1], *greater) == greater
    assert sent(first, stores[0], *before) == before
    assert sent(first, stores[0], ticked=True, dead=["R2"]) == greater
    later = numbers(stores[0], 1)
    assert sent(first, stores[0], *later) == later


def test_no_two_processes_have_one_name(opened):
    """Where one has it, nobody else begins a transaction under it; where its connection is lost, it
    may be another's, and then is asked for anew before anything is done. Other names are free."""
    first, second = opened(Lamp, Counter, replica="1"), opened(replica="1")
    saved(first, Lamp("A"))
    saved(opened(replica="2"), Lamp("B"))
    second.connected().execute("SET lock_timeout = '10ms'")
    with pytest.raises(StoreUnavailable, match="is replica 1 of lamps: end that one, or give"):
        second.begin()
    first._drop()
    second.connected().execute("SET lock_timeout = '10s'")
    saved(second, Lamp("C"))
    first.connected().execute("SET lock_timeout = '10ms'")
    with pytest.raises(StoreUnavailable, match="is replica 1"):
        first.begin()
    second.close()
    first.connected().execute("SET lock_timeout = '10s'")
    saved(first, Lamp("D"))


# ── Trouble ───────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def severed(cluster, opened):
    """A store whose connection can be cut at a commit, and what cuts it."""
    opened(Lamp, Counter)
    with tempfile.TemporaryDirectory() as folder:
        there, here = (quote(str(it), safe="") for it in (cluster.folder, folder))
        with closing(Severed(Path(folder), cluster.folder)) as proxy:
            yield opened(url=cluster.url.replace(there, here)), proxy


def test_a_commit_whose_answer_is_lost_was_made(severed):
    """The database is asked: else a batch would be handled once more, and a command with it."""
    store, proxy = severed
    transaction = Transaction(store)
    transaction[Lamp].put(Lamp("A"))
    proxy.at = "answer"
    transaction.commit()
    assert store.fetch(Lamp, "A") == Lamp("A")


def test_a_commit_that_never_came_was_not_made(severed):
    """The same from here, but for the database's word."""
    store, proxy = severed
    transaction = Transaction(store)
    transaction[Lamp].put(Lamp("A"))
    proxy.at = "question"
    with pytest.raises(StoreUnavailable):
        transaction.commit()
    assert Transaction(store)[Lamp].get("A") is None


def test_a_commit_that_a_server_has_lost_is_not_taken_for_anothers(
    cluster, admin, severed, wait_for
):
    """What was not on its disk, or had not come to the standby that takes its place, it has
    forgotten, and gives the number of that transaction to another one."""
    store, proxy = severed
    for option in "synchronous_commit = off", "wal_writer_delay = '10s'":
        admin.execute(f"ALTER SYSTEM SET {option}")
    admin.execute("SELECT pg_reload_conf()")
    saved(store, Lamp("A"))
    transaction = Transaction(store)
    transaction[Lamp].put(Lamp("B"))
    proxy.at = "answer"
    with ThreadPoolExecutor(1) as pool:
        proxy.is_open = False
        committing = pool.submit(transaction.commit)
        count = "SELECT count(*), pg_snapshot_xmax(pg_current_snapshot())::text FROM lamps.lamps"
        wait_for(lambda: admin.execute(count).fetchone()[0] == 2)
        _, after = admin.execute(count).fetchone()
        away(cluster)
        cluster.start()
        with psycopg.connect(cluster.url, autocommit=True) as db:
            for option in "synchronous_commit", "wal_writer_delay":
                db.execute(f"ALTER SYSTEM RESET {option}")
            db.execute("SELECT pg_reload_conf()")
            while int(db.execute("SELECT pg_current_xact_id()::text").fetchone()[0]) < int(after):
                pass
        proxy.is_open = True
        with pytest.raises(StoreUnavailable):
            committing.result(60)
    assert Transaction(store)[Lamp].get("B") is None


def test_a_server_that_goes_away_comes_back(cluster, store):
    """Whatever is under way fails, and is tried again: the next transaction connects anew."""
    transaction = Transaction(store)
    transaction[Lamp].put(Lamp("A"))
    cluster.stop()
    with pytest.raises(StoreUnavailable):
        transaction.commit()
    with pytest.raises(StoreUnavailable):
        Transaction(store)
    cluster.start()
    saved(store, Lamp("B"))
    assert Transaction(store)[Lamp].where() == [Lamp("B")]


def test_a_connection_that_an_administrator_ends_is_made_again(admin, store):
    """At the next transaction; the one that meets it is told to try again."""
    transaction = Transaction(store)
    admin.execute("SELECT pg_terminate_backend(%s)", (store.connected().info.backend_pid,))
    with pytest.raises(StoreUnavailable):
        transaction.commit()
    saved(store, Lamp("A"))


def test_whoever_looks_again_keeps_the_connection_and_makes_a_lost_one_anew(admin, store):
    """To connect costs more than all that is read."""

    def look():
        with store.moment():
            store.rows(Lamp)
            return store.connected().info.backend_pid

    before = look()
    assert look() == before
    admin.execute("SELECT pg_terminate_backend(%s, 5000)", (before,))
    assert look() != before


def test_a_server_that_only_reads_is_unavailable(admin, store):
    """A standby, or a primary that has been demoted: the next connection may find another."""
    admin.execute("ALTER ROLE ecom SET default_transaction_read_only = on")
    store._drop()
    try:
        with pytest.raises(StoreUnavailable, match="read-only"):
            saved(store, Lamp("A"))
        assert store._db is None
    finally:
        admin.execute("SET default_transaction_read_only = off")
        admin.execute("ALTER ROLE ecom RESET default_transaction_read_only")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("ALTER TABLE lamps.lamps DROP COLUMN note", 'column "note" does not exist'),
        ("DROP TABLE lamps.lamps", "does not exist"),
    ],
)
def test_a_schema_of_another_release_is_broken_and_not_worth_waiting_for(
    admin, store, damage, said
):
    """Reading or writing it raises what is not retried, and says what to do."""
    admin.execute(damage)
    with pytest.raises(StoreBroken, match=f"{said}.*another release.*provisioner"):
        store.fetch(Lamp, "A")
    with pytest.raises(StoreBroken, match="another release"):
        saved(store, Lamp("A"))


def test_no_error_says_a_password(cluster, opened):
    """Not of an address that is none, nor where nobody listens, nor where it is wrong."""
    for url in (
        "postgresql//u:hunter2@host/db",
        "postgresql://u:hunter2/@host/db",
        "postgresql://u:12/hunter2@host/db",
        "postgresql://u:p@hunter2@host/db",
        "postgresql://u:%zzhunter2@host/db",
    ):
        with pytest.raises(ShopError, match="ECOM_DATABASE_URL is no address") as refused:
            check_url(url)
        assert "hunter2" not in str(refused.value)
    wrong = cluster.url.replace(cluster.url.split(":")[2].split("@")[0], "hunter2")
    for url in (wrong, "postgresql://u:hunter2@127.0.0.1:1/db"):
        with pytest.raises(StoreUnavailable) as failed:
            PostgresStore(url, "lamps").begin()
        assert "hunter2" not in str(failed.value)


def test_all_hosts_of_an_address_are_tried_for_one_that_writes(cluster, opened):
    """As libpq does it: the first one that accepts writes."""
    opened(Lamp, Counter)
    password = cluster.url.split(":")[2].split("@")[0]
    hosts = f"/nowhere,{cluster.folder}".replace("/", "%2F")
    url = f"postgresql://ecom:{password}@/postgres?host={hosts}&target_session_attrs=read-write"
    saved(opened(url=url), Lamp("A"))
    for its in "", "2", ":5433":
        many = f"postgresql://u:p@db1,db{its}/shop?target_session_attrs=read-write"
        assert check_url(many) == many


class Fast(PostgresStore):
    """A store on a machine whose clock is an hour ahead."""

    _wall = staticmethod(lambda: time.time() + 3600)


def test_time_is_the_databases(store, cluster):
    """Replicas whose machines' clocks differ agree on leases: here, by an hour."""
    with closing(Fast(cluster.url, "lamps")) as fast:
        stores = store, fast
        for each in stores:
            Transaction(each).rollback()
        ours, theirs = (each.time() for each in stores)
    assert abs(ours - theirs) < 600


# ── Schemas ───────────────────────────────────────────────────────────────────────────────────
class LaterLamp(Row, frozen=True):
    """The same lamps, a release later."""

    table = "lamps"

    name: str
    watts: int = 5
    image: bytes = b"\x00'"
    shade: str = "it's plain"


def test_all_may_provision_at_once_and_an_earlier_release_becomes_this_one(cluster, store):
    """Rows that are there get the defaults; nobody meets half of it."""
    saved(store, Lamp("A", 7))
    with ThreadPoolExecutor(6) as pool:
        for each in [pool.submit(provision, cluster.url, [LaterLamp, Counter]) for _ in range(6)]:
            each.result()
    assert store.fetch(LaterLamp, "A") == LaterLamp("A", 7)
    assert store.fetch(SchemaVersion, "machinery").version == VERSION


def test_a_start_that_another_overtakes_as_it_looks_goes_on(cluster, monkeypatch):
    """It sees the tables of a schema and their version as they were together."""
    overtaken, ask = [], postgres_schema.version_in
    with schema(cluster.url, "racing") as it, schema(cluster.url, "racing") as other:
        it.provision(MACHINERY, {})
        for table in "inbox", "outbox", "effects", "timers":
            it.execute(f"ALTER TABLE {table} RENAME COLUMN subject TO order_id")
        it.execute("UPDATE schema_versions SET version = 1, oldest_reader = 0")

        def asking(reading, tables):
            if reading is it and not overtaken:
                overtaken.append(other.prepare(MACHINERY, {}))
            return ask(reading, tables)

        monkeypatch.setattr(postgres_schema, "version_in", asking)
        it.prepare(MACHINERY, {})
        assert overtaken
        assert it.fetch(SchemaVersion, "machinery").version == VERSION
        it.drop()


def test_a_schema_that_is_beyond_this_release_is_refused(cluster, admin, store):
    """In one sentence, and unchanged."""
    later = VERSION + 1
    admin.execute("UPDATE lamps.schema_versions SET version = %s, oldest_reader = %s", [later] * 2)
    with schema(cluster.url) as it, pytest.raises(StoreBroken, match="newer release"):
        it.prepare([LaterLamp, Counter], {})
    with pytest.raises(StoreBroken):
        store.fetch(LaterLamp, "A")
    store.close()  # whoever reads it, or writes to it, is told so when it connects
    for ask in store.tables, store.begin:
        with pytest.raises(StoreBroken, match=r"^lamps was written by a newer release"):
            ask()


def test_a_dry_run_changes_nothing(cluster, tmp_path):
    """What a message would do is told from the rows as they are, and the rows stay."""
    server, stock = Server(cluster.url, "dry"), Stock("TEA-COSY", 3, 3)
    server.provision(SAGA.services["inventory"])
    fill(server, "inventory", [stock])
    write_private(tmp_path / SERVER, f"{cluster.url}\ndry")
    headers, body = wire(ORDER)
    headers |= {OVERRIDE: "it is to be tried"}
    found = run_here(pickle.dumps((SAGA, tmp_path, "inventory", "", headers, body)))
    assert found.outcome == "would be handled"
    assert ("stock", "TEA-COSY", "available", 3, 1) in found.changes
    with closing(server.reading("inventory")) as reading:
        assert reading.rows(Stock) == [stock]
        assert reading.rows(Reservation) == []
    server.forget(["inventory"])


def test_a_service_may_change_its_rows_and_nothing_else(cluster, admin, opened):
    """Not its tables, not its schema's version, not the rows of another service."""
    kinds = INVENTORY
    opened(*kinds)
    with schema(cluster.url) as it, schema(cluster.url, "others") as others:
        it.provision(kinds, views_of(kinds), "hunter2")
        others.provision([Lamp], {})
    url = f"postgresql://lamps:hunter2@{cluster.url.partition('@')[2]}"
    with schema(url) as it:
        it.prepare(kinds, views_of(kinds))
    service = opened(url=url)
    saved(service)
    transaction = Transaction(service)
    transaction[Stock].put(Stock("A", 1, 1))
    transaction[Outbox].put(Outbox(transaction.number(Outbox), "", "", "", "", {}, b"{}", 0.0, "1"))
    transaction.commit()
    for statement in (
        "SELECT * FROM others.lamps",
        "DELETE FROM schema_versions",
        "CREATE TABLE mine (n int)",
        "DROP TABLE stock",
        "CREATE SCHEMA mine",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            service.connected().execute(statement)
    with schema(url) as it, pytest.raises(StoreBroken, match=r"permission denied.*provisioner"):
        it.prepare((*kinds, Lamp), {})
    admin.execute("DROP SCHEMA others CASCADE; DROP ROLE others")
    admin.execute("DROP SCHEMA lamps CASCADE")


def test_views_show_times_and_text(cluster, admin, opened):
    """The machinery's, with a list of them all; again and again they stay as they are."""
    kinds = (Lamp, *MACHINERY)
    opened(*kinds)
    for _ in range(2):
        with schema(cluster.url) as it:
            it.prepare(kinds, views_of(kinds))
    transaction = Transaction(opened())
    transaction[Outbox].put(Outbox(1, "e-1", "lit", "A", "events", {}, b"text", 86_400.0, "1"))
    transaction.commit()
    found = admin.execute("SELECT written, body FROM lamps.outbox_unsent").fetchall()
    assert found == [("1970-01-02 00:00:00", "text")]
    assert admin.execute("SELECT count(*) FROM lamps.about WHERE kind = 'view'").fetchone()[0] > 4


def test_a_name_that_postgresql_would_cut_short_is_refused():
    """Else two shops might share a schema."""
    assert schema_of("ecom", "order") == "ecom_order"
    with pytest.raises(ShopError, match="too long"):
        schema_of("e" * 60, "order")


def test_without_psycopg_one_sentence_says_what_to_install():
    """And everybody else does without it."""
    without = "import sys; sys.modules['psycopg'] = None"
    code = f"{without}; import ecom.serve; import ecom.stores.postgres"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "needs psycopg, which is not installed" in done.stderr
    assert "[postgres]" in done.stderr


def test_a_private_server_ends_with_whoever_started_it(cluster, wait_for):
    """However that ends; and nothing of it is left: what processes share of memory, which a killed
    server does not take away, is in its folder, too. (Of `cluster`: there can be one.)"""
    assert any((cluster.folder / "data" / "pg_dynshmem").iterdir())
    code = (
        "import os; from ecom.harness.postgres import Cluster; it = Cluster();"
        "print(it.pid, it.folder, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    pid, folder = done.stdout.split()
    wait_for(lambda: not psutil.pid_exists(int(pid)) and not Path(folder).exists())


def test_a_server_that_does_not_start_says_why(monkeypatch):
    """And nothing of it stays behind."""
    made, make = [], tempfile.mkdtemp
    monkeypatch.setattr(tempfile, "mkdtemp", lambda **its: made.append(make(**its)) or made[-1])
    monkeypatch.setitem(postgres.OPTIONS, "no_such_option", "1")
    with pytest.raises(NoPostgres, match=r"did not start(?s:.*)no_such_option"):
        Cluster()
    assert [Path(it).exists() for it in made] == [False]
