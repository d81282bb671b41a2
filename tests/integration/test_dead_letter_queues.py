"""Dead letters at a real broker: what is there is shown, and nothing is lost."""

import json

import pandas as pd
import pytest
from helpers import EXAMPLES, wire
from msgspec.structs import replace

from ecom.amqp.address import parameters
from ecom.amqp.blocking import operator
from ecom.contract.topology import dead_queue, queue
from ecom.errors import ShopError
from ecom.harness.dead_letters.dead_letters import DeadLetters
from ecom_lab.shop import SAGA

PAID = EXAMPLES["payment.processed"]


@pytest.fixture
def letters(bare, broker, tmp_path):
    """The dead letters of the bare shop."""
    return DeadLetters(SAGA, broker, bare, tmp_path)


def failed(order, id, **more):
    """A dead letter of inventory: money was captured for an order it does not know."""
    headers, body = wire(replace(PAID, order_id=order), id)
    story = {
        "dead-reason": "failed",
        "dead-exception": f"LookupError: no hold for order {order}",
        "dead-attempts": "6",
        "dead-exchange": "shop.events",
    }
    return headers | story | more, body


def depth(channel, name):
    return channel.queue_declare(name, passive=True).method.message_count


def test_no_letters_have_the_same_columns(letters):
    """A notebook's next cell works where nothing has died."""
    assert letters.list().columns.tolist() == [
        "service",
        "order_id",
        "type",
        "reason",
        "exception",
        "attempts",
        "first",
        "last",
        "id",
    ]
    assert letters.groups().columns.tolist() == [
        "service",
        "type",
        "reason",
        "error",
        "letters",
        "first",
        "last",
    ]


def test_looking_takes_nothing_away(bare, letters, channel, put, monkeypatch):
    """However many lie there, and however often one looks: all are seen, and all stay."""
    monkeypatch.setattr("ecom.amqp.blocking.SLICE", 20)
    name = dead_queue(bare, "inventory")
    for n in range(90):
        put(name, *failed(str(n), f"id-{n}"))
    for _ in range(3):
        assert letters.list("inventory").order_id.tolist() == [str(n) for n in range(90)]
        assert depth(channel, name) == 90


def test_those_that_failed_alike_are_one_group(bare, letters, put):
    """The order's number in the text does not tell errors apart; the largest group is first."""
    for n in (7, 8, 9):
        put(dead_queue(bare, "inventory"), *failed(str(n), f"id-{n}"))
    put(dead_queue(bare, "audit"), {}, b"{")
    groups = letters.groups()
    assert groups.letters.tolist() == [3, 1]
    assert groups.error[0] == "LookupError: no hold for order …"
    assert letters.drop(groups[:1], "a test") == 3
    assert letters.groups().service.tolist() == ["audit"]


def test_a_letter_is_replayed_as_edited(bare, letters, channel, put):
    """Another body; the event is the same, with all that was said of it."""
    put(dead_queue(bare, "inventory"), *failed("1", "id-1", **{"ce-note": "old"}))
    (id_,) = letters.list().id
    assert letters.replay(id_, body=b"{}") == 1
    _, properties, sent = channel.basic_get(queue(bare, "inventory"))
    assert sent == b"{}"
    assert (properties.headers["ce-id"], properties.headers["ce-note"]) == ("id-1", "old")
    assert letters.list().empty


def test_those_that_are_there_are_replayed_though_one_is_not(bare, letters, put):
    """And both is said."""
    put(dead_queue(bare, "inventory"), *failed("1", "id-1"))
    (id_,) = letters.list().id
    with pytest.raises(ShopError, match=r"'nonsense': .* others, 1 are done with"):
        letters.replay([id_, "nonsense"])
    assert letters.list().empty


def test_what_the_broker_added_is_not_sent_on(bare, letters, channel, put, broker):
    """A replay has the attributes of the original, and how that came: no key under which it would
    be published besides, nothing of the broker's; only an effect may say that it is one."""
    more = {"x-own": "1", "ecom-effect": "7", "CC": ["audit"], "BCC": ["order"]}
    headers, body = failed("1", "id-1", **more)
    put(dead_queue(bare, "inventory"), headers, body)
    letters.replay(letters.list().id)
    _, properties, sent = channel.basic_get(queue(bare, "inventory"))
    properties.headers.pop("x-delivery-count", None)  # some brokers say it of every delivery
    came = {"dead-exchange": "shop.events", "dead-user": parameters(broker)[0].credentials.username}
    headers, body = wire(replace(PAID, order_id="1"), "id-1")
    assert (properties.headers, sent) == (headers | came, body)
    assert properties.delivery_mode == 2


def test_dropping_needs_a_reason_and_keeps_the_letter_on_paper(bare, letters, put, tmp_path):
    """What is dropped can still be read, whole, with who lost what and why."""
    put(dead_queue(bare, "inventory"), *failed("1", "id-1"))
    (id_,) = letters.list().id
    with pytest.raises(ShopError, match="Say why"):
        letters.drop(id_, " ")
    assert letters.drop([id_], "a duplicate of order 7") == 1
    (line,) = (tmp_path / "dropped.log").read_text().splitlines()
    record = json.loads(line)
    assert (record["why"], record["order_id"]) == ("a duplicate of order 7", "1")
    assert (record["headers"], record["body"].encode()) == wire(replace(PAID, order_id="1"), "id-1")
    assert letters.list().empty


def test_mistakes_are_answered_in_a_sentence(bare, letters, put, monkeypatch, broker):
    """An unknown letter, service or choice; letters that somebody else has in hand."""
    put(dead_queue(bare, "inventory"), *failed("1", "id-1"))
    for ask in (letters.show, letters.replay, letters.dry_run):
        with pytest.raises(ShopError, match="no dead letter 'nonsense'"):
            ask("nonsense")
    for service in ("paymnet", 7, pd.NA, ["audit"]):
        with pytest.raises(ShopError, match="choose of order"):
            letters.list(service)
    with pytest.raises(ShopError, match="Give ids"):
        letters.replay(pd.DataFrame({"order": [1]}))
    monkeypatch.setattr("ecom.amqp.blocking.PATIENCE", 0.1)
    with operator(broker, f"{bare}.dead-letters"), pytest.raises(ShopError, match="Somebody else"):
        letters.list()
    assert len(letters.list()) == 1


def test_whatever_lies_there_can_be_listed(bare, letters, put):
    """No message can break the list, or pass for what it is not."""
    name = dead_queue(bare, "audit")
    put(name, None, b"\xff\x00")
    put(name, {"dead-attempts": "many", "ce-id": 7, "dead-reason": ["x"], "x-death": 3}, b"")
    put(name, {"x-first-death-reason": "delivery_limit", "dead-reason": "a lie"}, b"[" * 9_000)
    listed = letters.list()
    assert sorted(listed.reason) == ["killed the process", "unknown", "unknown"]
    for id_ in listed.id:
        assert repr(letters.show(id_)).startswith(f"Dead letter {id_} of audit")
        assert not letters.dry_run(id_).is_good
