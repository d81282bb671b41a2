"""Time travel: the real handlers rebuild every state that the services were in."""

import sqlite3

import pytest
from shuffled import Shuffled

from ecom import Shop
from ecom.errors import ShopError
from ecom.harness.history.replay import CannotReplay
from ecom.sandbox.cards import DECLINED_CARD
from ecom.services.inventory import Reservation
from ecom.services.order import Order
from ecom.shop.history import at, past_of
from ecom.shop.records import Records

SHELVES = ("available", "held", "committed")


def plain(frame):
    """A frame as lists, with None for what is missing, whatever pandas calls it."""
    return frame.astype(object).where(frame.notna(), None).to_numpy().tolist()


def differences(folder):
    """The tables that, rebuilt from the whole log, are not what they are today."""
    moment = at(folder, len(past_of(folder).log))
    return {
        table: (plain(moment.table(*table)), plain(Records(folder).table(*table)))
        for table in moment.tables
        if plain(moment.table(*table)) != plain(Records(folder).table(*table))
    }


def change(folder, service, statement):
    """Meddle with a service's database."""
    with sqlite3.connect(folder / f"{service}.db") as db:
        assert db.execute(statement).rowcount
    db.close()


@pytest.mark.parametrize("seed", range(12))
def test_the_whole_log_gives_todays_tables(tmp_path, seed):
    """However messages raced, services crashed, calls failed and the clock jumped: every row."""
    world = Shuffled(tmp_path, seed, trouble=0.1 if seed % 3 else 0.0, hold=[60.0, 3.0][seed % 2])
    world.shop(14)
    assert not differences(tmp_path)
    assert {"CONFIRMED", "CANCELLED"} <= set(at(tmp_path, len(past_of(tmp_path).log)).states.order)


def test_the_log_of_a_real_shop_gives_its_tables(broker):
    """Real processes, killed in the middle of it, and customers who change their minds."""
    with Shop(stock={"TEAPOT": 20, "KITE": 30}, amqp_url=broker) as shop:
        orders = [
            {
                "customer": f"c{n}@example.com",
                "lines": {"TEAPOT": 1, "KITE": 1 + n % 2},
                "card": DECLINED_CARD if n % 7 == 0 else None,
            }
            for n in range(40)
        ]
        for order_id in shop.place_many(orders)[::3]:
            shop.cancel(order_id)
        for service in ("payment", "inventory"):
            shop.kill(service)
            shop.start(service)
        shop.settle()
        assert not differences(shop.folder)
        assert shop.at(0).stock.available.sum() == 50
        assert shop.history("1001").awaited == []


def test_every_prefix_is_a_state_the_shop_was_in(tmp_path):
    """After each event: units add up, as many are held as orders hold, and no state is skipped."""
    Shuffled(tmp_path, seed=5, trouble=0.1, hold=20.0).shop(14)
    before = {}
    for n in range(len(past_of(tmp_path).log) + 1):
        moment = at(tmp_path, n)
        stock = moment.stock
        assert (stock[list(SHELVES)].sum(axis=1) == stock.initial).all()
        assert (stock[list(SHELVES)] >= 0).all().all()
        held = [row for row in moment.rows[Reservation] if row.state == "HELD"]
        assert stock.held.sum() == sum(sum(row.units.values()) for row in held)
        states = {row.order_id: row.state for row in moment.rows[Order]}
        for order_id, state in states.items():
            assert (before.get(order_id), state) in LEGAL
        before = states


LEGAL = {
    (None, "PENDING"),
    ("PENDING", "CONFIRMED"),
    ("PENDING", "CANCELLED"),
    ("CONFIRMED", "CANCELLED"),
    (None, "CANCELLED"),
    *((state, state) for state in ("PENDING", "CONFIRMED", "CANCELLED")),
}


def test_before_the_first_event_there_is_only_stock(tmp_path):
    """All units on the shelf, and every other table empty."""
    Shuffled(tmp_path, seed=1).shop(3)
    moment = at(tmp_path, 0)
    assert plain(moment.stock) == [["CAKE", 9, 9, 0, 0], ["TEA", 5, 5, 0, 0]]
    others = [name for name in moment.tables if name != ("inventory", "stock")]
    assert [len(moment.table(*name)) for name in others] == [0] * 5
    assert repr(moment) == f"Before the first of {len(past_of(tmp_path).log)} events"


def test_a_moment_shows_what_services_had_consumed_by_then(tmp_path):
    """Step by step through one order: who had done what after each of its events."""
    world = Shuffled(tmp_path, seed=1)
    world.place(0, card="4242")
    world.finish()
    log = [each.event.key for each in past_of(tmp_path).log]
    assert log == [
        "order.created",
        "inventory.processed",
        "payment.processed",
        "inventory.committed",
        "order.confirmed",
    ]
    moments = [at(tmp_path, n) for n in range(1, 6)]
    assert [list(m.states.order) for m in moments] == [["PENDING"]] * 4 + [["CONFIRMED"]]
    paid = [list(m.table("payment", "payments").state) for m in moments]
    assert paid == [[], ["PENDING"], *[["CAPTURED"]] * 3]
    held = [list(m.table("inventory", "reservations").state) for m in moments]
    assert held == [[], ["HELD"], ["HELD"], ["COMMITTED"], ["COMMITTED"]]
    assert plain(moments[2].states) == [["1001", "PENDING", "HELD", "CAPTURED"]]
    assert plain(moments[0].states) == [["1001", "PENDING", "", ""]]
    told = [list(m.table("notification", "told").confirmed) for m in moments]
    assert told == [[], [], [], [], ["true"]]
    assert repr(moments[-1]) == "After event 5 of 5, order.confirmed of order 1001"


def test_what_housekeeping_has_forgotten_is_told_by_the_log(tmp_path):
    """With the inbox, the outbox and the effects pruned, the log alone gives the same tables."""
    Shuffled(tmp_path, seed=3, hold=5.0).shop(12, regrets=0.0)
    for service in ("order", "inventory", "payment", "notification"):
        change(tmp_path, service, "DELETE FROM inbox")
    for service in ("order", "inventory", "payment"):
        change(tmp_path, service, "DELETE FROM outbox")
    for service in ("payment", "notification"):
        change(tmp_path, service, "DELETE FROM effects")
    moment = at(tmp_path, len(past_of(tmp_path).log))
    for table in moment.tables:
        rebuilt, today = moment.table(*table), Records(tmp_path).table(*table)
        times = [name for name in TIMES if name in rebuilt]
        assert plain(rebuilt.drop(columns=times)) == plain(today.drop(columns=times))
        apart = (rebuilt[times].astype(float) - today[times].astype(float)).abs()
        assert not (apart > 10.0).any().any()


TIMES = ("at", "placed_at", "ended_at", "held_until")  # of these the log knows the milliseconds


def test_an_event_missing_from_the_log_is_named(tmp_path):
    """Where the first one stands that cannot be explained, and why; up to there all is well."""
    world = Shuffled(tmp_path, seed=1)
    world.place(0, card="4242")
    world.finish()
    change(tmp_path, "audit", "DELETE FROM events WHERE type = 'inventory.processed'")
    change(tmp_path, "audit", "UPDATE events SET n = n - 1 WHERE n > 2")
    with pytest.raises(
        CannotReplay, match=r"event 2, payment.processed of 1001: .* not in the log"
    ):
        at(tmp_path, 2)
    assert list(at(tmp_path, 1).states.order) == ["PENDING"]


def test_a_log_that_was_meddled_with_is_not_believed(tmp_path):
    """The handlers must say just what the log says: a changed amount is found out."""
    world = Shuffled(tmp_path, seed=1)
    world.place(0, card="4242")
    world.finish()
    change(
        tmp_path, "audit", "UPDATE events SET body = replace(body, '\"amount\":', '\"amount\":1')"
    )
    with pytest.raises(
        CannotReplay, match=r"event 3, payment.processed .* payment now publishes it otherwise"
    ):
        at(tmp_path, 3)


@pytest.mark.parametrize("n", [-1, 6])
def test_a_number_beyond_the_log_is_refused(tmp_path, n):
    """In a sentence that says which numbers there are."""
    world = Shuffled(tmp_path, seed=1)
    world.place(0, card="4242")
    world.finish()
    with pytest.raises(ShopError, match="number from 0 to 5"):
        at(tmp_path, n)


def test_a_table_that_is_not_rebuilt_is_refused(tmp_path):
    """In a sentence that says which there are."""
    Shuffled(tmp_path, seed=1).finish()
    with pytest.raises(ShopError, match=r"order\.requests is not rebuilt .* inventory\.stock"):
        at(tmp_path, 0).table("order", "requests")
