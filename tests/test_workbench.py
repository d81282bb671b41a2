"""The dead-letter workbench, over real services and a real broker: nothing lost, nothing twice."""

import json
import os
import signal
import subprocess
import sys
from contextlib import closing

import pika
import pytest
from helpers import EXAMPLES, WHO, wire
from msgspec.structs import replace

from ecom.bus import parameters
from ecom.dead_letter import read_letter
from ecom.dead_queue import SLICE, desk
from ecom.errors import ShopError
from ecom.events import PaymentProcessed
from ecom.reading import rows
from ecom.topology import dead_queue, queue

PAID = PaymentProcessed(*WHO, 2500)


@pytest.fixture
def channel(shop):
    """A channel of our own to the shop's broker."""
    with closing(pika.BlockingConnection(parameters(shop.amqp_url))) as connection:
        yield connection.channel()


@pytest.fixture
def put(channel):
    """Publish a message; persistent, to a queue or (with `exchange`) under a key."""

    def publish(key, headers, body, exchange=""):
        properties = pika.BasicProperties(headers=headers, delivery_mode=2)
        channel.basic_publish(exchange, key, body, properties)

    return publish


def failed(order, id, **more):
    """A dead letter of inventory: money was captured for an order it does not know."""
    headers, body = wire(replace(PAID, order_id=order), id)
    story = {"dead-reason": "failed", "dead-exception": f"LookupError: no hold for order {order}",
             "dead-attempts": "6", "dead-exchange": "shop.events"}  # fmt: skip
    return headers | story | more, body


def depth(channel, name):
    return channel.queue_declare(name, passive=True).method.message_count


def test_an_empty_workbench_has_the_same_columns(shop):
    """A notebook's next cell works where nothing has died."""
    assert shop.dead.list().columns.tolist() == [
        "service", "order_id", "type", "reason", "exception", "attempts", "first", "last", "id",
    ]  # fmt: skip
    assert shop.dead.groups().columns.tolist() == [
        "service", "type", "reason", "error", "letters", "first", "last",
    ]  # fmt: skip


def test_looking_takes_nothing_away(shop, channel, put):
    """However many lie there, and however often one looks: all are seen, and all stay."""
    name = dead_queue(shop.name, "inventory")
    for n in range(SLICE + 100):
        put(name, *failed(str(n), f"id-{n}"))
    for _ in range(3):
        assert len(shop.dead.list("inventory")) == SLICE + 100
        assert depth(channel, name) == SLICE + 100


def test_those_that_failed_alike_are_one_group(shop, put):
    """The order's number in the text does not tell errors apart; the largest group is first."""
    for n in (7, 8, 9):
        put(dead_queue(shop.name, "inventory"), *failed(str(n), f"id-{n}"))
    put(dead_queue(shop.name, "audit"), {}, b"{")
    groups = shop.dead.groups()
    assert groups.letters.tolist() == [3, 1]
    assert groups.error[0] == "LookupError: no hold for order …"
    assert shop.dead.drop(groups[:1], "a test") == 3
    assert shop.dead.groups().service.tolist() == ["audit"]


def test_a_malformed_event_is_tried_edited_and_replayed(shop, put, wait_for):
    """`try_` says what an edit would lead to, before and after; the saga then goes on."""
    shop.kill("payment")
    order = shop.place("ada@example.com", {"TEAPOT": 1})
    headers, body = wire(PaymentProcessed(order, "ada@example.com", 2450), "paid-1")
    put("payment.processed", headers, body[:-5], f"{shop.name}.events")
    wait_for(lambda: len(shop.dead.list("inventory")) == 1)
    letter = shop.dead.show(shop.dead.list("inventory").id[0])
    assert (letter.reason, letter.order_id) == ("malformed", order)

    assert "malformed body" in shop.dead.try_(letter.id).error
    trial = shop.dead.try_(letter.id, body=body)
    assert trial.is_good
    assert trial.events.type.tolist() == ["inventory.committed"]
    changes = trial.changes.set_index(["table", "column"])
    assert changes.loc[("reservations", "state"), "after"] == "COMMITTED"
    assert shop.stock().committed.sum() == 0, "a trial changes nothing"

    assert shop.dead.edit(letter.id, body=body).id == letter.id
    assert shop.dead.show(letter.id).data["amount"] == 2450
    assert shop.dead.try_(letter.id).changes.equals(trial.changes)
    assert shop.dead.replay(letter.id) == 1
    wait_for(lambda: shop.orders().state[0] == "CONFIRMED")
    assert shop.dead.list("inventory").empty


def test_an_edit_may_not_change_who_the_event_is(shop, put):
    """Under another id, what was handled before would be handled again."""
    put(dead_queue(shop.name, "inventory"), *failed("1", "id-1"))
    (id_,) = shop.dead.list().id
    with pytest.raises(ShopError, match="ce-id"):
        shop.dead.edit(id_, headers={"ce-id": "another"})
    with pytest.raises(ShopError, match="ce-id"):
        shop.dead.edit(id_, headers={"ce-id": None})


def test_of_two_versions_the_edited_one_counts(shop, channel, put):
    """A crash amid an edit leaves both; the old one is neither shown nor replayed, even if the
    last edit undid the first."""
    headers, body = failed("1", "id-1")
    one = read_letter("inventory", headers, body)
    two = one.edited({"note": "mended"}, None)
    three = two.edited({"note": None}, None)
    name = dead_queue(shop.name, "inventory")
    for letter in (three, one, two):
        put(name, letter.to_bury() if letter.replaces else headers, letter.body)
    assert shop.dead.list().id.tolist() == [one.id]
    assert "note" not in shop.dead.show(one.id).headers
    shop.kill("inventory")
    assert shop.dead.replay(one.id) == 1
    assert depth(channel, name) == 0
    assert depth(channel, queue(shop.name, "inventory")) == 1


def test_what_the_broker_added_is_not_sent_on(shop, channel, put):
    """A replay has the headers of the original: none of a death, none beginning with `x-`; and
    only what was an effect may say that it is one."""
    shop.kill("inventory")
    headers, body = failed("1", "id-1", **{"x-own": "1", "ecom-effect": "7"})
    put(dead_queue(shop.name, "inventory"), headers, body)
    shop.dead.replay(shop.dead.list().id)
    _, properties, sent = channel.basic_get(queue(shop.name, "inventory"))
    assert (properties.headers, sent) == wire(replace(PAID, order_id="1"), "id-1")
    assert properties.delivery_mode == 2


def test_a_replay_has_its_effect_once_however_often_it_is_replayed(shop, put):
    """Two hundred payments that came too early, buried, are replayed three times over: stock is
    committed once for each, the orders confirmed once, the books balanced."""
    shop.kill("payment")
    orders = [{"customer": f"c{n}@example.com", "lines": {"YOYO": 1}} for n in range(80)]
    orders += [{"customer": f"k{n}@example.com", "lines": {"KITE": 1}} for n in range(20)]
    del orders
    letters = [failed(str(n), f"early-{n}") for n in range(200)]
    for letter in letters:
        put(dead_queue(shop.name, "inventory"), *letter)
    assert shop.dead.replay(shop.dead.list("inventory")) == 200
