"""Trouble, with real processes: services killed, bad messages, holders gone. Nothing is lost."""

import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from functools import partial

import pika
import pytest
from seeing import is_there

from ecom import Shop
from ecom.broker.lease import BrokerUnavailable
from ecom.bus import parameters
from ecom.errors import NotSettled, ServiceDied, ServiceDown
from ecom.harness.processes import read_note
from ecom.harness.tenancy import address
from ecom.harness.workspace import folder_of
from ecom.shop.folder import monitor
from ecom_lab.shop import EVENTS, SERVICES


def test_services_killed_amid_two_thousand_orders_lose_nothing(broker):
    """SIGKILL in the middle, then start: all terminal, books balanced, nobody told twice; one
    service after the other, the last orders of all out of stock."""
    wanted = [{"customer": f"c{n}@example.com", "lines": {"YOYO": 1}} for n in range(400)]
    with (
        Shop({"YOYO": 1_900}, amqp_url=broker) as shop,
        monitor(shop.folder) as looking,
    ):
        for before, service in zip(range(0, 2_000, 400), SERVICES, strict=True):
            shop.place_many(wanted)
            shop.wait_until(lambda enough=before + 40: looking.ended()[0] >= enough)
            shop.kill(service)
            ended, total = looking.ended()
            assert ended < total == before + 400, "killed too late to prove anything"
            shop.start(service)
            shop.settle(60)
        books = shop.books()
        assert books.balanced, books
        assert (books.confirmed, books.cancelled) == (1_900, 100)


def test_what_is_still_awaited_is_said(shop):
    """With payment down, `settle` gives up in time and names the service, the event, the order."""
    shop.kill("payment")
    order = shop.place("ada@example.com", {"TEAPOT": 1})
    shop.wait_until(lambda: "inventory.processed" in set(shop.events().type))
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
    with pytest.raises(ServiceDown, match=r"start it with start\('order'\)"):
        shop.place("ada@example.com", {"TEAPOT": 1})
    with pytest.raises(ServiceDown, match="not running"):
        shop.kill("order")
    shop.start("order")
    assert shop.place("ada@example.com", {"TEAPOT": 1}) == "1001"


def test_a_dead_letter_does_not_keep_the_shop_from_settling(shop):
    """What the broker itself set aside will never be handled: quiet, though the books are off."""
    shop.kill("payment")
    order = shop.place("ada@example.com", {"TEAPOT": 1})
    with closing(pika.BlockingConnection(parameters(shop.amqp_url))) as connection:
        channel = connection.channel()
        queue = f"{shop.name}.payment"
        method, properties, body = next(channel.consume(queue, inactivity_timeout=20))
        properties.user_id = parameters(shop.amqp_url)[0].credentials.username  # it is us now
        channel.basic_publish("", f"{queue}.dead", body, properties)
        channel.basic_ack(method.delivery_tag)
    shop.start("payment")
    shop.settle(20)
    assert f"order {order} is PENDING" in str(shop.books())


HOLDER = """
import json, sys
from ecom import Shop
shop = Shop(amqp_url=sys.argv[1]).open()
pids = [process.pid for process in shop._processes._children.values()]
print(json.dumps({"name": shop.name, "pids": pids}), flush=True)
sys.stdin.read()
"""


def test_nothing_outlives_a_holder_that_is_killed(broker, wait_for):
    """SIGKILL a process that holds a shop: its services end, and the next shop clears up."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, broker],
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        left = json.loads(holder.stdout.readline())
        assert folder_of(left["name"]).exists()
        holder.kill()
    wait_for(lambda: not any(map(is_there, left["pids"])))
    with Shop(amqp_url=broker):  # or one that some other test opens just now
        wait_for(lambda: not folder_of(left["name"]).exists())
    with pytest.raises(pika.exceptions.ProbableAccessDeniedError, match="not found"):
        pika.BlockingConnection(parameters(address(broker, left["name"])))


def test_malformed_messages_are_set_aside_and_stop_nobody(shop, wait_for):
    """1,000 of them among 1,000 good orders: good ones end, bad ones are dead letters, all live."""
    alive = repr(shop)
    orders = [{"customer": "a@example.com", "lines": {"KITE": 1}}] * 500
    with closing(pika.BlockingConnection(parameters(shop.amqp_url))) as connection:
        shop.place_many(orders)
        channel = connection.channel()
        for n in range(1_000):
            key = list(EVENTS)[n % len(EVENTS)]
            channel.basic_publish(f"{shop.name}.events", key, BAD_BODIES[n % len(BAD_BODIES)])
        shop.place_many(orders)
        shop.settle()
        dead = partial(channel.queue_declare, f"{shop.name}.audit.dead", passive=True)
        # A queue that is slow to answer is said to have none.
        wait_for(lambda: dead().method.message_count == 1_000)
    assert repr(shop) == alive
    assert shop.books().balanced
    assert len(shop.orders()) == 1_000


BAD_BODIES = [b"", b"{}", b"[" * 100_000, b"\xff\xfe", b'{"order_id": 1e999}', b"null", b"NaN"]


def test_a_broker_that_is_not_there_is_said_at_once(tmp_path, monkeypatch):
    """The address is named, the password is not; nothing is left behind."""
    monkeypatch.setenv("ECOM_HOME", str(tmp_path))
    with pytest.raises(BrokerUnavailable, match=r"127\.0\.0\.1:1 .*ECOM_AMQP_URL") as caught:
        Shop(amqp_url="amqp://me:secret@127.0.0.1:1/").open()
    assert "secret" not in str(caught.value)
    assert list((tmp_path / "shops").iterdir()) == []
