"""Identities: whose event a message is, whose order it belongs to, and whose money moves."""

import pytest
from helpers import EXAMPLES, Hand, answers, delivery, wire
from msgspec.structs import replace

from ecom.events import Line
from ecom.runtime.messages import Command, Delivery, Publish
from ecom.runtime.tables import Inbox
from ecom.services.audit import Entry
from ecom.services.order import Order, PlaceOrder
from ecom_lab.shop import SAGA

COMMITTED, FAILED = EXAMPLES["inventory.committed"], EXAMPLES["payment.failed"]


# ── events ────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def orders():
    """The order service with two PENDING orders, 1001 and 1002."""
    hand = Hand(SAGA.services["order"])
    for number in ("1001", "1002"):
        place(hand, f"place-{number}")
    return hand


def place(hand, id, customer="lotte@example.com", units=2):
    command = PlaceOrder(customer, "4242", (Line("TEA-COSY", units, 1250),))
    out = hand.give(Command(id, command))
    return answers(out)[0], [each.row for each in out if isinstance(each, Publish)]


def test_no_service_silences_another_by_using_an_event_id_of_its_first(orders):
    """Ids can be derived by whoever has seen the cause: they are unique per source only."""
    orders.give(delivery(replace(FAILED, order_id="1002"), "committed-1001"))
    orders.give(delivery(COMMITTED, "committed-1001"))
    orders.give(delivery(COMMITTED, "committed-1001"))
    states = {row.order_id: row.state for row in orders.rows(Order)}
    assert states == {"1001": "CONFIRMED", "1002": "CANCELLED"}
    assert len(orders.rows(Inbox)) == 2


def test_the_log_keeps_events_of_two_services_under_one_id():
    """And each of them once."""
    audit = Hand(SAGA.services["audit"])
    for event in (FAILED, COMMITTED, COMMITTED, FAILED):
        audit.give(delivery(event, "same"))
    assert [row.type for row in audit.rows(Entry)] == ["inventory.committed", "payment.failed"]


def test_the_log_keeps_the_body_as_it_came():
    """With what a later release has added to it, and in the spelling of another language."""
    audit, (headers, body) = Hand(SAGA.services["audit"]), wire(COMMITTED)
    body = b" " + body[:-1] + ', "gift_note": "with \\u2665, Zoë"}'.encode()
    audit.give(Delivery(1, 1, "shop.events", COMMITTED.key, headers, body))
    assert [row.body for row in audit.rows(Entry)] == [body.decode()]
