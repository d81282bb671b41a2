"""Logs: one line a record, with the order and the event it is about, and never with a secret."""

import logging
import re
import sys
from contextlib import closing
from urllib.parse import urlsplit

import pika
import pytest
from helpers import EXAMPLES, Hand, broker_url, delivery, wire

from ecom import Shop
from ecom.amqp.address import parameters
from ecom.contract import topology
from ecom.sandbox.cards import DECLINED_CARD, ERROR_CARD, GOOD_CARD
from ecom.shop.folder import kept_token
from ecom.telemetry.logs import Line
from ecom_lab.shop import SAGA, SERVICES

CREATED = EXAMPLES["order.created"]
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
FIELD = r' \w+=(?:[^\s"=\\]+|"(?:[^"\\]|\\.)*")'
LINE = re.compile(rf"{TIME} (INFO|WARNING|ERROR) ([a-z]+(?:-\d)?) (.*?)((?:{FIELD})*)")
NASTY = "a\nb\r\x00\x1b[2J\x7f\x85\u2028\u202eb\ud800"


def line(message, *args, exc_info=None, **about):
    """One record as it is written."""
    record = logging.LogRecord("ecom", logging.INFO, "", 0, message, args, exc_info)
    vars(record).update(about)
    return Line("payment", "order_id").format(record)


@pytest.mark.parametrize("about", [{}, {"reason": NASTY}, {"subject": NASTY, "event": NASTY}])
def test_nothing_from_outside_ends_a_line_or_moves_the_cursor(about):
    """Newlines of any kind, terminal sequences and what turns text around are written as escapes;
    what is written can be encoded."""
    written = line("Failed: %s", NASTY, **about)
    assert written.isprintable()
    assert written.encode()
    assert r"a\nb\r\x00\x1b[2J\x7f" in written


def test_a_value_cannot_pass_for_another_field():
    """What has spaces, quotes or equals signs is in quotes."""
    written = line("No", subject="7", reason='sold out" order=8 \\', event="e")
    *_, fields = LINE.fullmatch(written).groups()
    assert fields == r' order=7 reason="sold out\" order=8 \\" event=e'


def test_a_traceback_stays_on_the_line_of_its_record():
    try:
        raise ValueError("two\nlines")
    except ValueError:
        written = line("It failed", exc_info=sys.exc_info())
    assert LINE.fullmatch(written)
    assert 'traceback="Traceback' in written
    assert written.isprintable()


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        (f"refused {GOOD_CARD}.", GOOD_CARD),
        ("refused 4242-4242-4242-4242", "4242-4242"),
        ("refused 378282246310005, sorry", "37828224"),
        ("amqp://tea.payment:s3cret@localhost:5672/tea is gone", "s3cret"),
    ],
)
def test_what_looks_like_a_card_or_a_password_is_masked(text, hidden):
    """In messages and in fields, whoever wrote it: a provider's error may repeat what we sent."""
    assert hidden not in line("Failed: %s", text, reason=text)
    assert hidden in f"{text}", "or the test tests nothing"


def test_numbers_that_are_no_cards_are_left_alone():
    text = "order 1001 of 2026-11-23, 12 pieces, 6f0c1e52-0000-5000-8000-123456789012, 1795460794"
    assert text in line(text)


def test_a_record_of_a_handler_has_the_order_and_the_event_without_naming_them(caplog):
    """The runtime knows what is handled; afterwards it is about nothing."""
    caplog.handler.setFormatter(Line("inventory", "order_id"))
    with caplog.at_level("INFO"):
        Hand(SAGA.services["inventory"]).give(delivery(CREATED, "event-7"))
        logging.getLogger("ecom").info("Later")
    failed, later = caplog.text.splitlines()
    assert failed.endswith(
        ' INFO inventory Failed to reserve stock order=1001 reason="unknown product" '
        "sku=TEA-COSY event=event-7"
    )
    assert later.endswith(" INFO inventory Later")


@pytest.mark.parametrize("tries", [1, 6])
def test_a_failure_is_told_with_its_order_event_and_attempt(caplog, tries):
    """Also that of the last attempt, which makes a dead letter."""
    caplog.handler.setFormatter(Line("inventory", "order_id"))
    hand = Hand(SAGA.services["inventory"])
    hand.give(delivery(EXAMPLES["payment.processed"], "event-7"))
    for _ in range(tries - 1):
        hand.wait(100.0)
    told = [text.partition(" inventory ")[2] for text in caplog.text.splitlines()]
    ends = " order=1001 attempt={} event=event-7"
    assert told[tries - 1].startswith("Failed to handle payment.processed: LookupError")
    assert all(text.endswith(ends.format(n + 1)) for n, text in enumerate(told[:tries]))
    assert [text.endswith(ends.format(6)) for text in told[tries:]] == [True] * (tries == 6)


def test_what_is_set_aside_is_told_with_where_its_handler_failed(caplog):
    """The line of the handler; after the last attempt only, as those before may mean nothing."""
    caplog.set_level("INFO", "ecom")
    hand = Hand(SAGA.services["inventory"])
    hand.give(delivery(EXAMPLES["payment.processed"], "event-7"))
    assert "Traceback" not in caplog.text
    for _ in range(5):
        hand.wait(100.0)
    assert caplog.text.count("in commit_stock") == 1


# ── a whole shop ──────────────────────────────────────────────────────────────────────────────
CARDS = (GOOD_CARD, DECLINED_CARD, ERROR_CARD, "5555555555554444", "tok_secret")


@pytest.fixture(scope="module")
def logged(broker):
    """Every log of a shop in which much went wrong, by name; and every secret it used."""
    with Shop({"TEAPOT": 10}, amqp_url=broker) as shop:
        shop.place("good@example.com", {"TEAPOT": 1}, GOOD_CARD)
        shop.place("tok@example.com", {"TEAPOT": 1}, "tok_secret")
        shop.place("poor@example.com", {"TEAPOT": 1}, DECLINED_CARD)
        shop.place("late@example.com", {"TEAPOT": 99}, GOOD_CARD)
        shop.place("nobody@bounce.example", {"TEAPOT": 1}, GOOD_CARD)
        shop.place("error@example.com", {"TEAPOT": 1}, ERROR_CARD)
        garble(shop)
        shop.wait_until(lambda: "NotDone" in read(shop.folder)["payment-1"])
        shop.wait_until(lambda: "malformed" in read(shop.folder)["inventory-1"])
        shop.wait_until(lambda: "Dead letter" in read(shop.folder)["notification-1"])
        secrets = secrets_of(shop)
        yield read(shop.folder), secrets


def garble(shop):
    """An operator puts messages with cards into inventory's queue, which nobody can read."""
    headers, body = wire(CREATED, "garbled-1")
    wrong = [
        body.replace(b'"lines"', b'"5555555555554444":NaN,"lines"'),
        body.replace(b'"total":2500', b'"total":"5555555555554444"'),
        body.replace(b'"card":"', b'"card":"5555555555554444 tok_secret\\n'),
        b"5555555555554444",
    ]
    with closing(pika.BlockingConnection(parameters(shop.amqp_url))) as connection:
        for each in wrong:
            properties = pika.BasicProperties(headers=headers)
            queue = topology.queue(shop.name, "inventory")
            connection.channel().basic_publish("", queue, each, properties)


def read(folder):
    return {path.stem: path.read_text() for path in folder.glob("*.log")}


def secrets_of(shop):
    """Passwords and tokens that the shop's processes were told, and all cards."""
    passwords = {urlsplit(broker_url(shop, name)).password for name in SERVICES}
    return {*CARDS, *passwords, kept_token(shop.folder)}


def test_every_line_of_a_shop_is_one_record_of_its_service(logged):
    """Good or bad, whatever it is about, it can be read by a machine."""
    for name, text in logged[0].items():
        found = [LINE.fullmatch(each) for each in text.splitlines()]
        assert all(found), (name, text)
        assert {match[2] for match in found} <= {name.removesuffix("-1")}


def test_the_logs_of_a_shop_hold_no_card_password_or_token(logged):
    """Not after good orders, declined, failed or dead ones, nor after messages nobody can read."""
    logs, secrets = logged
    assert len(secrets) >= len(CARDS) + 2, "the broker's password and the token, at least"
    found = {(name, secret) for name, text in logs.items() for secret in secrets if secret in text}
    assert not found


def test_the_log_can_be_searched_by_order(logged):
    """One order, across services, in the words of the trade."""
    every = "\n".join(logged[0].values())
    told = [text for text in every.splitlines() if " order=1004 " in text]
    for words in (
        "Failed to reserve stock",
        "Published inventory.failed event",
        "Order 1004 cancelled due to: insufficient stock",
        "Out of Stock - Order #1004 Cancelled",
    ):
        (found,) = [text for text in told if words in text]
        assert re.search(r" event=[0-9a-f-]{36}$", found)
