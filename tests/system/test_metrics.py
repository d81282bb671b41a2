"""Metrics: what each process says on `/metrics`, in Prometheus's format, after known orders."""

import json
import re
import socket
from contextlib import closing
from urllib.parse import urlsplit

import httpx
import pika
import pytest
from helpers import EXAMPLES, wire
from msgspec.structs import replace
from scraping import families, value

from ecom import Shop
from ecom.amqp.address import parameters
from ecom.contract import topology
from ecom_lab.shop import SERVICES


class Scraped:
    """A shop, and the pages of its services."""

    def __init__(self, shop):
        self.shop = shop

    def url(self, service):
        return json.loads((self.shop.folder / f"{service}-1.json").read_text())["metrics"]

    def page(self, service):
        return families(httpx.get(self.url(service)).raise_for_status().text)

    def value(self, service, name, **labels):
        return value(self.page(service), name, service=service, **labels)

    def put(self, service, event, id):
        """As an operator: straight into the queue of a service."""
        headers, body = wire(event, id)
        with closing(pika.BlockingConnection(parameters(self.shop.amqp_url))) as connection:
            headers |= {"dead-override": "a test vouches for it"}
            properties = pika.BasicProperties(headers=headers)
            queue = topology.queue(self.shop.name, service)
            connection.channel().basic_publish("", queue, body, properties)


@pytest.fixture(scope="module")
def scraped(broker):
    """A shop with two orders confirmed, of which one mail bounced, one out of stock, one whose
    capture is tried in vain; inventory has heard one event twice and one it can do nothing with."""
    with Shop({"TEAPOT": 10}, amqp_url=broker) as shop:
        shop.place("good@example.com", {"TEAPOT": 1})
        shop.place("late@example.com", {"TEAPOT": 99})
        shop.place("nobody@bounce.example", {"TEAPOT": 1})
        shop.settle()
        shop.gateway(down=True)
        shop.place("patient@example.com", {"TEAPOT": 1})
        it = Scraped(shop)
        it.put("inventory", EXAMPLES["order.confirmed"], "impossible-1")
        for _ in range(2):
            it.put("inventory", replace(EXAMPLES["order.cancelled"], order_id="9001"), "twice-1")
        shop.wait_until(lambda: it.value("inventory", "ecom_duplicates_total"))
        shop.wait_until(lambda: it.value("payment", "ecom_effects_retrying"))
        yield it


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        (
            "order",
            {
                ("ecom_events_emitted_total", "order.created"): 4,
                ("ecom_events_emitted_total", "order.confirmed"): 2,
                ("ecom_events_emitted_total", "order.cancelled"): 1,
                ("ecom_events_handled_total", "inventory.committed"): 2,
                ("ecom_events_handled_total", "inventory.failed"): 1,
                ("ecom_broker_connected", None): 1,
            },
        ),
        (
            "inventory",
            {
                ("ecom_events_handled_total", "order.created"): 4,
                ("ecom_events_handled_total", "order.cancelled"): 2,
                ("ecom_events_handled_total", "order.confirmed"): 1,
                ("ecom_events_emitted_total", "inventory.processed"): 3,
                ("ecom_events_emitted_total", "inventory.failed"): 1,
                ("ecom_duplicates_total", None): 1,
                ("ecom_replayed_total", None): 3,
                ("ecom_dead_letters_total", None): 1,
                ("ecom_dead_letters_left", None): 1,
                ("ecom_timers_set", None): 1,
            },
        ),
        (
            "payment",
            {
                ("ecom_events_emitted_total", "payment.processed"): 2,
                ("ecom_effects_pending", None): 1,
                ("ecom_effects_retrying", None): 1,
            },
        ),
        (
            "notification",
            {
                ("ecom_dead_letters_left", None): 1,
                ("ecom_dead_letters_total", None): 1,
                ("ecom_effects_pending", None): 0,
            },
        ),
        (
            "audit",
            {
                ("ecom_events_handled_total", "order.created"): 4,
                ("ecom_events_handled_total", "inventory.failed"): 1,
                ("ecom_outbox_unsent", None): 0,
                ("ecom_dead_letters_total", None): 0,
            },
        ),
    ],
)
def test_known_orders_are_known_numbers(scraped, service, expected, wait_for):
    """Each service has counted its part of what happened, and what waits."""

    def found():
        page = scraped.page(service)
        return {
            (name, type_): value(page, name, service=service, **({"type": type_} if type_ else {}))
            for name, type_ in expected
        }

    wait_for(lambda: found() == expected)


def test_an_event_that_is_to_be_tried_again_is_seen_to_wait(scraped, wait_for):
    """One more waits, and how long it does."""
    scraped.put("order", replace(EXAMPLES["payment.failed"], order_id="9002"), "waits-1")
    wait_for(lambda: scraped.value("order", "ecom_inbox_waiting") == 1)
    wait_for(lambda: scraped.value("order", "ecom_inbox_oldest_seconds") > 0)


def test_counters_survive_a_restart(scraped, wait_for):
    """They are in the database: for Prometheus, nothing was restarted."""
    name, labels = "ecom_events_handled_total", {"type": "order.created"}
    scraped.shop.kill("audit")
    with pytest.raises(httpx.ConnectError):
        scraped.page("audit")
    scraped.shop.start("audit")
    assert scraped.value("audit", name, **labels) == 4


@pytest.mark.parametrize("service", SERVICES)
def test_a_page_is_as_prometheus_wants_it(scraped, service):
    """Every metric has a help and a unit that says what it counts; counters are totals."""
    answer = httpx.get(scraped.url(service))
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert urlsplit(scraped.url(service)).hostname == "127.0.0.1"
    for name, family in families(answer.text).items():
        assert name.startswith(("ecom_", "process_"))
        assert family.documentation.endswith(".")
        assert family.type in ("counter", "gauge", "histogram")
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter")


def test_no_page_tells_of_an_order(scraped):
    """Anybody on this machine may read it."""
    for service in SERVICES:
        text = httpx.get(scraped.url(service)).text
        assert "@" not in text
        assert not re.search(r"\b9001\b", text)  # which digits of a time may be


def test_the_http_api_has_the_order_services_page_too(scraped):
    """Without a token, as the API is where other machines look."""
    there = families(httpx.get(f"{scraped.shop.url}/metrics").raise_for_status().text)
    assert there.keys() == scraped.page("order").keys()
    assert value(there, "ecom_events_emitted_total", type="order.created") == 4


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"HTTP/1.0 405 "),
        (b"\x16\x03\x01\r\n\r\n", b"<!DOCTYPE HTML>"),
        (b"GET /metrics HTTP/1.0\r\n\r\n", b"HTTP/1.0 200 "),
        (b"x" * 65_537, b"HTTP/1.0 414 "),
        (b"", b""),
    ],
)
def test_whatever_is_asked_the_server_answers_or_hangs_up(scraped, request_, answer):
    """And goes on serving."""
    place = urlsplit(scraped.url("audit"))
    with socket.create_connection((place.hostname, place.port), timeout=10) as peer:
        try:
            peer.sendall(request_)
            peer.shutdown(socket.SHUT_WR)
            said = b"".join(iter(lambda: peer.recv(65536), b""))
        except ConnectionError:  # it has hung up while we spoke
            said = b""
    assert said.startswith(answer)
    assert bool(said) == bool(answer)
    assert scraped.value("audit", "ecom_broker_connected") == 1
