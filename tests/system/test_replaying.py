"""Dead letters tried, mended and replayed among real services: nothing lost, nothing twice."""

import json
import signal
import subprocess
import sys
from contextlib import closing

import pika
import pytest
from helpers import broker_url, copies_are_checked, wire

from ecom import Shop
from ecom.amqp.address import parameters
from ecom.contract.topology import dead_exchange, dead_queue, exchange, queue
from ecom.errors import ShopError
from ecom.events import OrderCancelled, PaymentProcessed

COUNT = 200


@pytest.fixture
def shop(broker):
    """An open shop with stock for every order of these tests."""
    with Shop({"YOYO": COUNT}, amqp_url=broker) as shop:
        yield shop


def as_payment(shop, headers, body):
    """Publish what payment might, were it wrong."""
    with closing(pika.BlockingConnection(parameters(broker_url(shop, "payment")))) as connection:
        mine = pika.BasicProperties(headers=headers, user_id=f"{shop.name}.payment")
        to = exchange(shop.name), "payment.processed"
        connection.channel().basic_publish(*to, body, mine)


def test_a_malformed_event_is_tried_edited_and_replayed(shop, wait_for):
    """`dry_run` says what an edit would lead to, before and after; the saga then goes on."""
    shop.kill("payment")
    order = shop.place("ada@example.com", {"YOYO": 1})
    headers, body = wire(PaymentProcessed(order, "ada@example.com", 2450), "paid-1")
    log = wait_for(lambda: shop.table("audit", "events").correlation.tolist())
    headers |= {"ce-correlationid": log[0]}
    as_payment(shop, headers, body[:-5])
    wait_for(lambda: len(shop.dead.list("inventory")) == 1)
    letter = shop.dead.show(shop.dead.list("inventory").id[0])
    assert (letter.reason, letter.subject) == ("malformed", order)

    assert "malformed body" in shop.dead.dry_run(letter.id).error
    tried = shop.dead.dry_run(letter.id, body=body)
    assert tried.is_good
    assert [type_ for type_, *_ in tried.events] == ["inventory.committed"]
    assert ("reservations", order, "state", "HELD", "COMMITTED") in tried.changes
    assert shop.stock().committed.sum() == 0, "a dry run changes nothing"

    assert shop.dead.replay(letter.id, body=body) == 1
    wait_for(lambda: shop.orders().state[0] == "CONFIRMED")
    assert shop.dead.list("inventory").empty


def test_a_forged_letter_is_replayed_only_by_an_override_which_is_recorded(shop, wait_for):
    """Explicitly, with a reason, which stays beside the whole letter in the shop's folder."""
    if copies_are_checked():
        pytest.skip("this broker lets nobody forge one by a copy")
    order = shop.place("ada@example.com", {"YOYO": 1})
    shop.settle()
    said, body = wire(OrderCancelled(order, "ada@example.com", "cancelled by customer"), "forged")
    log = shop.table("audit", "events")
    said |= {"ce-correlationid": log.correlation[0]}
    said |= {"BCC": ["inventory"], "dead-reason": "failed", "dead-user": f"{shop.name}.order"}
    url = parameters(broker_url(shop, "notification"))
    with closing(pika.BlockingConnection(url)) as connection:
        mine = pika.BasicProperties(headers=said, user_id=f"{shop.name}.notification")
        connection.channel().basic_publish(dead_exchange(shop.name), "notification", body, mine)
    wait_for(lambda: len(shop.dead.list("inventory")) == 1)
    (id_,) = shop.dead.list("inventory").id
    assert f"{shop.name}.notification published this letter" in repr(shop.dead.show(id_))
    assert "would not be replayed" in repr(shop.dead.dry_run(id_))
    with pytest.raises(ShopError, match="override"):
        shop.dead.replay(id_)
    assert shop.stock().committed.sum() == 1
    assert shop.dead.replay(id_, override="the customer was on the phone") == 1
    wait_for(lambda: shop.stock().committed.sum() == 0)
    (line,) = (shop.folder / "overridden.log").read_text().splitlines()
    record = json.loads(line)
    assert (record["why"], record["order_id"]) == ("the customer was on the phone", order)
    assert record["body"].encode() == body


@pytest.fixture
def killers(shop, channel, put):
    """Hold stock for so many orders, and set what payment should have heard aside, as the broker
    does with what kills a service; the letters."""

    def prepare(count):
        shop.kill("payment")
        wanted = {"customer": "ada@example.com", "lines": {"YOYO": 1}}
        shop.place_many([wanted] * count)
        name, letters = queue(shop.name, "payment"), []
        for method, properties, body in channel.consume(name, inactivity_timeout=20):
            published = {"dead-user": properties.user_id, "dead-key": method.routing_key}
            letters.append((properties.headers | published, body))
            put(dead_queue(shop.name, "payment"), *letters[-1])
            channel.basic_ack(method.delivery_tag)
            if len(letters) == count:
                break
        channel.cancel()
        return letters

    return prepare


@pytest.fixture
def place(shop):
    """The shop's own vhost."""
    return shop.amqp_url


def captures(shop):
    ledger = shop.ledger()
    return len(ledger), ledger.order_id.nunique()


def test_letters_replayed_three_times_over_have_their_effect_once(killers, shop, put):
    """Each money is captured once, whether a letter comes again before or after it was handled;
    `settle` waits for replays that are on their way."""
    letters = killers(COUNT)
    for times in range(3):
        assert shop.dead.replay(shop.dead.list("payment")) == COUNT
        if not times:
            shop.start("payment")
        shop.settle()
        assert captures(shop) == (COUNT, COUNT)
        for letter in letters if times < 2 else ():
            put(dead_queue(shop.name, "payment"), *letter)
    assert shop.dead.list().empty
    books = shop.books()
    assert books.balanced, books
    assert books.confirmed == COUNT


REPLAY = """
import sys
from pathlib import Path
from ecom.harness.dead_letters.dead_letters import DeadLetters
from ecom.sagas.choreography import choreography
url, shop, folder = sys.argv[1:]
letters = DeadLetters(choreography(), url, shop, Path(folder))
letters.replay(letters.groups())
"""


def test_a_replay_that_is_killed_loses_nothing(shop, killers, channel, wait_for):
    """SIGKILL in the middle: each letter lies in one queue or the other, or in both if the broker
    has not read its ack; a second replay finishes it, and money is captured once an order."""
    killers(COUNT)
    name = queue(shop.name, "payment")

    def sent():
        return channel.queue_declare(name, passive=True).method.message_count

    command = [sys.executable, "-c", REPLAY, shop.amqp_url, shop.name, str(shop.folder)]
    with subprocess.Popen(command) as replaying:
        wait_for(lambda: sent() > 10)
        replaying.send_signal(signal.SIGKILL)
    assert sent() < COUNT, "killed too late to prove anything"
    left = wait_for(lambda: len(shop.dead.list("payment")))
    assert sent() + left >= COUNT
    assert shop.dead.replay(shop.dead.groups()) == left
    shop.start("payment")
    shop.settle()
    assert captures(shop) == (COUNT, COUNT)
    assert shop.books().balanced
