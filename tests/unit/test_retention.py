"""What is done is forgotten after a while, a little at a time; what is not done never is."""

import pytest

from ecom.runtime.messages import Commit, Tick
from ecom.runtime.retention import RETENTION, STEP, tidy
from ecom.runtime.runtime import Runtime
from ecom.runtime.tables import MACHINERY, Effect, Inbox, Letter, Outbox
from ecom.stores.base import Transaction
from ecom.stores.memory import MemoryStore
from ecom.stores.sqlite import SqliteStore, prepare
from ecom_lab.shop import SAGA

NOW = 10 * RETENTION


@pytest.fixture(params=["sqlite", "memory"])
def store(request, tmp_path):
    if request.param == "memory":
        yield MemoryStore()
    else:
        prepare(tmp_path / "old.db", MACHINERY)
        store = SqliteStore(tmp_path / "old.db")
        yield store
        store.close()


def put(store, *rows):
    tx = Transaction(store)
    for row in rows:
        tx[type(row)].put(row)
    tx.commit()


def forget(store, now=NOW):
    tx = Transaction(store)
    more = tidy(tx, now)
    tx.commit()
    return more


def left(store, kind):
    return store.select(kind, {}, None)


def outbox(seq, done_at):
    what = f"e{seq}", "order.created", "1001", "events", {}, b"{}"
    return Outbox(seq, *what, 0.0, "1", done_at=done_at)


def effect(seq, done_at, state):
    return Effect(
        seq,
        f"f{seq}",
        "Capture",
        "1001",
        f"capture/{seq}",
        b"{}",
        "c",
        "",
        0.0,
        "1",
        None,
        done_at,
        state=state,
    )


def test_only_what_is_done_and_old_goes(store):
    """Waiting, dead, unsent and recent rows stay, however old the rest is."""
    put(
        store,
        *(
            Inbox(f"{state}", "order.created", "1001", state, 0.0)
            for state in ("done", "waiting", "dead")
        ),
    )
    put(store, Inbox("recent", "order.created", "1001", "done", NOW - 1))
    put(store, outbox(1, 0.0), outbox(2, None), outbox(3, NOW - 1))
    put(store, effect(1, 0.0, "done"), effect(2, 0.0, "dead"), effect(3, None, "pending"))
    of = "failed", "id", "order.created", "1001", "KeyError: 1", 1, 0.0
    put(store, Letter(1, *of), Letter(2, *of, "dropped", 0.0, "a test"))
    forget(store)
    assert [row.number for row in left(store, Letter)] == [1]
    assert {row.id for row in left(store, Inbox)} == {"waiting", "dead", "recent"}
    assert {row.seq for row in left(store, Outbox)} == {2, 3}
    assert {row.seq for row in left(store, Effect)} == {2, 3}


def test_a_little_at_a_time(store):
    """No transaction forgets more than a step of each table, so none stalls the service."""
    put(store, *(outbox(seq, 0.0) for seq in range(1, STEP + 11)))
    assert forget(store)
    assert [row.seq for row in left(store, Outbox)] == list(range(STEP + 1, STEP + 11))
    assert not forget(store)
    assert left(store, Outbox) == []


class Asked(MemoryStore):
    """Counts what it is asked."""

    asked = 0

    def select(self, *arguments):
        self.asked += 1
        return super().select(*arguments)


def test_nobody_asks_ten_times_a_second_what_may_be_forgotten():
    """But from tick to tick, while there is more than one transaction takes."""
    store, counts = Asked(), []
    runtime = Runtime(SAGA, "order", store, "1", lambda: 0.5)
    put(store, *(outbox(seq, 1.0) for seq in range(1, STEP + 2)))
    for now in (NOW, NOW + 0.1, NOW + 0.2, NOW + 0.3, NOW + 10.2):
        store.asked = 0
        for output in runtime.step([Tick()], now):
            if isinstance(output, Commit):
                output.transaction.commit()
        counts.append(store.asked)
    first, again, quiet, still_quiet, later = counts
    assert min(first, again, later) > 2 * quiet == 2 * still_quiet
    assert left(store, Outbox) == []


def test_the_file_stops_growing(tmp_path):
    """A service that forgets as much as it does keeps the size of its file."""
    prepare(tmp_path / "long.db", MACHINERY)
    store = SqliteStore(tmp_path / "long.db")
    sizes = []
    for round_ in range(30):
        now = round_ * RETENTION / 3
        seqs = range(1 + 200 * round_, 201 + 200 * round_)
        put(store, *(outbox(seq, now) for seq in seqs))
        put(store, *(Inbox(f"{seq}", "order.created", "1001", "done", now) for seq in seqs))
        forget(store, now)
        ((pages,),) = store._run("PRAGMA page_count").fetchall()
        sizes.append(pages)
    store.close()
    assert max(sizes[10:]) <= 1.2 * max(sizes[:10])
    assert len(sizes) == 30
