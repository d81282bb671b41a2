"""The shop over real processes and a real broker: every way an order can end, and every trouble."""

import json
import os
import signal
import subprocess
import sys
from contextlib import closing

import pika
import pytest

from ecom import Shop
from ecom.bus import parameters
from ecom.crew import read_note
from ecom.errors import NotSettled, OrderRefused, ServiceDied, ServiceDown, ShopBusy, ShopError
from ecom.events import SERVICES
from ecom.leftovers import forget
from ecom.premises import folder_of
from ecom.quiet import Watch

DECLINES = "4000000000000002"


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


def test_two_orders_race_for_the_last_unit(shop):
    """Of two customers who want the only Moon, one gets it, and the other is told."""
    shop.place_many({"customer": f"{who}@example.com", "lines": {"MOON": 1}} for who in "ab")
    shop.settle()
    assert sorted(shop.orders().state) == ["CANCELLED", "CONFIRMED"]
    assert shop.books().balanced


def test_events_are_told_cause_before_effect(shop):
    """However the messages raced, the log of an order reads in causal order."""
    order = shop.place("ada@example.com", {"KITE": 1}, card=DECLINES)
    shop.settle()
    log = shop.events(order)
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


def test_what_the_door_refuses_is_said_in_a_sentence(shop):
    """A wrong quantity, a wrong address, an order there is not: the field or number is named."""
    with pytest.raises(OrderRefused, match="quantity"):
        shop.place("ada@example.com", {"TEAPOT": 0})
    with pytest.raises(OrderRefused, match="customer"):
        shop.place("nobody", {"TEAPOT": 1})
    with pytest.raises(OrderRefused, match="7777"):
        shop.cancel("7777")
    assert shop.orders().empty


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


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_killed_amid_two_thousand_orders_loses_nothing(broker, service):
    """SIGKILL in the middle, then start: all terminal, books balanced, nobody told twice."""
    wanted = [{"customer": f"c{n}@example.com", "lines": {"YOYO": 1}} for n in range(1_000)]
    with Shop({"YOYO": 1_900}, amqp_url=broker) as shop, closing(Watch(shop.folder)) as watch:
        shop.place_many(wanted)
        shop.place_many(wanted)
        shop.kill(service)
        ended, total = watch.ended()
        assert ended < total == 2_000, "killed too late to prove anything"
        shop.start(service)
        shop.settle(60)
        books = shop.books()
        assert books.balanced, books
        assert (books.confirmed, books.cancelled) == (1_900, 100)


def test_what_is_still_awaited_is_said(shop):
    """With payment down, `settle` gives up in time and names the service, the event, the order."""
    shop.kill("payment")
    order = shop.place("ada@example.com", {"TEAPOT": 1})
    with pytest.raises(NotSettled) as caught:
        shop.settle(timeout=1)
    for part in ("payment is down", "payment has not handled 1 inventory.processed", order):
        assert part in str(caught.value)
    shop.start("payment")
    shop.settle()
    assert shop.books().balanced


def test_a_service_that_dies_is_reported_with_its_last_words(shop, wait_for):
    """Nobody asked it to: the next call says who, how, and what its log said last."""
    os.kill(read_note(shop.folder, ("payment", "1"))["pid"], signal.SIGKILL)
    wait_for(lambda: "payment" not in repr(shop))
    with pytest.raises(ServiceDied, match=r"payment ended by SIGKILL.*log"):
        shop.place("ada@example.com", {"TEAPOT": 1})
    shop.start("payment")
    shop.place("ada@example.com", {"TEAPOT": 1})
    shop.settle()
    assert shop.books().balanced


def test_orders_need_the_order_service(shop):
    """While it is down, placing says so; a killed service cannot be killed again."""
    shop.kill("order")
    with pytest.raises(ServiceDown, match=r"shop\.start\('order'\)"):
        shop.place("ada@example.com", {"TEAPOT": 1})
    with pytest.raises(ServiceDown, match="not running"):
        shop.kill("order")
    shop.start("order")
    assert shop.place("ada@example.com", {"TEAPOT": 1}) == "1001"


def test_names_that_do_not_exist_are_answered_with_those_that_do(shop):
    """A service, database or table misspelt, a shop closed: one sentence that helps."""
    with pytest.raises(ShopError, match="choose of order, inventory"):
        shop.kill("paymnet")
    with pytest.raises(ShopError, match=r"choose of .*mailbox"):
        shop.table("paymnet", "payments")
    with pytest.raises(ShopError, match="payments"):
        shop.table("payment", "paymnets")
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
    forget(broker, "kept-for-a-test")


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


def test_a_dead_letter_does_not_keep_the_shop_from_settling(shop):
    """What the broker itself set aside will never be handled: quiet, though the books are off."""
    shop.kill("payment")
    order = shop.place("ada@example.com", {"TEAPOT": 1})
    with closing(pika.BlockingConnection(parameters(shop.amqp_url))) as connection:
        channel = connection.channel()
        queue = f"{shop.name}.payment"
        method, properties, body = next(channel.consume(queue, inactivity_timeout=20))
        channel.basic_publish("", f"{queue}.dead", body, properties)
        channel.basic_ack(method.delivery_tag)
    shop.start("payment")
    shop.settle(20)
    assert f"order {order} is PENDING" in str(shop.books())


HOLDER = """
import json, sys
from ecom import Shop
shop = Shop(amqp_url=sys.argv[1]).open()
pids = [process.pid for process in shop._crew._processes.values()]
print(json.dumps({"name": shop.name, "pids": pids}), flush=True)
sys.stdin.read()
"""


def test_nothing_outlives_a_holder_that_is_killed(broker, wait_for):
    """SIGKILL a process that holds a shop: its services end, and the next shop clears up."""
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, broker], text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    with holder:
        left = json.loads(holder.stdout.readline())
        holder.kill()
    wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in left["pids"]))
    assert folder_of(left["name"]).exists()
    with Shop(amqp_url=broker):
        assert not folder_of(left["name"]).exists()
    with closing(pika.BlockingConnection(parameters(broker))) as connection:
        channel = connection.channel()
        with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="NOT_FOUND"):
            channel.queue_declare(f"{left['name']}.order", passive=True)
