"""The shop over real processes and a real broker: every way an order can end, and every trouble."""

import pytest

from ecom import Shop
from ecom.errors import NotSettled, OrderRefused, ShopBusy, ShopError
from ecom.harness.tenancy import forget
from ecom.harness.workspace import holder_of
from ecom_lab.shop import CONTRACT

DECLINES = "4000000000000002"


@pytest.fixture(scope="module")
def shared(broker):
    """An open shop for those who do not mind what else there is in it."""
    with Shop(amqp_url=broker) as shop:
        yield shop


def states(shop):
    """Order → (state, reason)."""
    frame = shop.orders()
    return {row.order_id: (row.state, row.reason) for row in frame.itertuples()}


def test_an_order_is_confirmed_and_its_customer_told(shop):
    """The happy path: stock committed, money kept, one e-mail, books balanced."""
    order = shop.place("ada@example.com", {"TEAPOT": 1, "KITE": 2})
    shop.settle()
    assert order == "1001"
    assert states(shop) == {"1001": ("CONFIRMED", "")}
    assert shop.emails(order).subject.tolist() == ["Order #1001 Confirmed"]
    books = "balanced: 1 orders, 1 confirmed, 0 cancelled, £56.00 captured and kept"
    assert str(shop.books()) == books


def test_each_failure_ends_in_compensation(shop):
    """Out of stock, unknown product, declined card, a change of mind: cancelled, saying so."""
    orders = [
        shop.place("ada@example.com", {"MOON": 2}),
        shop.place("ada@example.com", {"KITE": 1, "UNICORN": 1}),
        shop.place("ada@example.com", {"KITE": 1}, card=DECLINES),
        shop.place("ada@example.com", {"KITE": 1}),
    ]
    shop.settle()
    shop.cancel(orders[3])
    shop.settle()
    assert states(shop) == {
        "1001": ("CANCELLED", "insufficient stock"),
        "1002": ("CANCELLED", "unknown product"),
        "1003": ("CANCELLED", "card declined"),
        "1004": ("CANCELLED", "cancelled by customer"),
    }
    stock = shop.stock()
    assert (stock.available == stock.initial).all()
    assert shop.ledger().outcome.tolist() == ["declined", "captured", "refunded"]
    assert shop.emails("1001").subject.tolist() == ["Out of Stock - Order #1001 Cancelled"]
    assert shop.books().balanced


def test_a_hold_that_runs_out_gives_the_stock_back(broker, wait_for):
    """Payment is down beyond the deadline: the order is cancelled; later, no money is taken."""
    with Shop(amqp_url=broker, hold_seconds=0.2) as shop:
        shop.kill("payment")
        order = shop.place("ada@example.com", {"TEAPOT": 1})
        wait_for(lambda: states(shop)[order] == ("CANCELLED", "hold expired"))
        shop.start("payment")
        shop.settle()
        assert shop.ledger().outcome.tolist() in ([], ["captured", "refunded"])
        assert shop.books().balanced


def test_two_orders_race_for_the_last_unit(shared):
    """Of two customers who want the only Moon, one gets it, and the other is told."""
    wishes = [{"customer": f"{who}@example.com", "lines": {"MOON": 1}} for who in "ab"]
    orders = shared.place_many(wishes)
    shared.settle()
    assert sorted(states(shared)[order][0] for order in orders) == ["CANCELLED", "CONFIRMED"]
    assert shared.books().balanced


def test_events_are_told_cause_before_effect(shared):
    """However the messages raced, the log of an order reads in causal order."""
    order = shared.place("ada@example.com", {"KITE": 1}, card=DECLINES)
    shared.settle()
    log = shared.events(order)
    assert list(zip(log.caused_by, log.type, strict=True)) == [
        ("customer", "order.created"),
        ("order.created", "inventory.processed"),
        ("inventory.processed", "payment.failed"),
        ("payment.failed", "order.cancelled"),
        ("order.cancelled", "inventory.released"),
    ]
    assert log.reason.tolist() == ["", "", "card declined", "card declined", ""]


def test_frames_have_the_same_types_when_empty(shop):
    """A notebook's next cell works on a shop in which nothing has happened yet."""
    looks = (shop.orders, shop.events, shop.stock, shop.emails, shop.ledger)
    empty = [look().iloc[:0].dtypes for look in looks]
    shop.place("ada@example.com", {"TEAPOT": 1})
    shop.settle()
    for look, dtypes in zip(looks, empty, strict=True):
        assert look().dtypes.equals(dtypes)
        assert len(look())


def test_what_the_door_refuses_is_said_in_a_sentence(shared):
    """A wrong quantity, a wrong address, an order there is not: which, and what should be there."""
    before = shared.orders()
    with pytest.raises(
        OrderRefused, match=r"^order 1, line 2: quantity must be a whole number from 1"
    ):
        shared.place("ada@example.com", {"KITE": 1, "TEAPOT": 0})
    with pytest.raises(OrderRefused, match=r"^order 1, customer: should be an e-mail address$"):
        shared.place("nobody", {"TEAPOT": 1})
    with pytest.raises(OrderRefused, match="7777"):
        shared.cancel("7777")
    assert len(shared.orders()) == len(before)


def test_two_shops_on_one_broker_never_meet(broker):
    """The same order numbers in both; each knows only its own orders and events."""
    with Shop(amqp_url=broker) as one, Shop(amqp_url=broker) as other:
        one.place("ada@example.com", {"TEAPOT": 1})
        other.place("bruno@example.com", {"MOON": 2})
        one.settle()
        other.settle()
        assert states(one) == {"1001": ("CONFIRMED", "")}
        assert states(other) == {"1001": ("CANCELLED", "insufficient stock")}
        assert one.books().balanced
        assert other.books().balanced


def test_names_that_do_not_exist_are_answered_with_those_that_do(shared):
    """A service, database or table misspelt, a shop closed: one sentence that helps."""
    with pytest.raises(ShopError, match="choose of order, inventory"):
        shared.kill("paymnet")
    with pytest.raises(ShopError, match=r"choose of .*mailbox"):
        shared.table("paymnet", "payments")
    with pytest.raises(ShopError, match="payments"):
        shared.table("payment", "paymnets")
    with pytest.raises(ShopError, match="closed"):
        Shop().orders()


def test_a_named_shop_goes_on_where_it_was(broker, tmp_path):
    """Closed and opened again: old orders are there, numbers continue, nothing is handled twice."""
    with Shop(name="kept-for-a-test", folder=tmp_path, amqp_url=broker) as shop:
        shop.place("ada@example.com", {"TEAPOT": 1})
        with pytest.raises(ShopBusy, match="open in process"):
            Shop(name="kept-for-a-test", folder=tmp_path, amqp_url=broker).open()
    with Shop(name="kept-for-a-test", folder=tmp_path, amqp_url=broker) as shop:
        assert shop.place("ada@example.com", {"TEAPOT": 1}) == "1002"
        shop.settle()
        assert shop.books().balanced
        assert shop.orders().state.tolist() == ["CONFIRMED", "CONFIRMED"]
    forget(CONTRACT, broker, "kept-for-a-test")


def test_a_shop_that_nobody_refers_to_any_more_closes_itself(broker, tmp_path, monkeypatch):
    """As when a notebook's cell is run again: its processes are gone, its folder can be reused."""
    # Where nobody has left a shop whose broker is gone: pytest keeps what pika logs of it, an
    # exception, and with its frames the shop.
    monkeypatch.setenv("ECOM_HOME", str(tmp_path / "home"))
    Shop(amqp_url=broker, folder=tmp_path / "shop", outside="files").open()
    assert holder_of(tmp_path / "shop") is None


def test_further_replicas_share_the_work(shop):
    """Two inventories and two payments on one queue and database each: the books still balance."""
    shop.start("inventory", replica="2")
    shop.start("payment", replica="2")
    orders = [{"customer": "a@example.com", "lines": {"YOYO": 1}} for _ in range(200)]
    shop.place_many(orders)
    shop.settle()
    books = shop.books()
    assert books.balanced, books
    assert (books.confirmed, books.cancelled) == (80, 120)


def test_waiting_for_what_never_happens_ends_with_a_sentence(shared):
    """`wait_until` returns as soon as its condition holds, and gives up at its deadline."""
    shared.wait_until(lambda: True, timeout=0)
    with pytest.raises(NotSettled, match="within 0 s"):
        shared.wait_until(lambda: False, timeout=0)
