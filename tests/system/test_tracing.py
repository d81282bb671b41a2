"""Traces: one an order, through every hop; spans that form one tree, whoever exports them."""

from collections import Counter as Tally

import httpx
import pytest
from collecting import CALLER, ORDER, TRACE, TRACEPARENT, collector
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from ecom import Shop
from ecom.sandbox.cards import DECLINED_CARD
from ecom.shop.folder import kept_token
from ecom_lab.shop import CONTRACT, EVENTS, SERVICES


@pytest.fixture(scope="module")
def traced(broker):
    """The spans of a shop: 1001 confirmed, 1002 out of stock, 1003 declined, 1004 cancelled by its
    customer after it was confirmed, 1005 placed by a caller with a trace of its own."""
    with collector() as (url, spans), pytest.MonkeyPatch.context() as environment:
        environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        environment.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # to which nothing here is to go
        with Shop({"TEAPOT": 10}, amqp_url=broker) as shop:
            environment.delenv("HTTP_PROXY")
            shop.place("good@example.com", {"TEAPOT": 1})
            shop.place("late@example.com", {"TEAPOT": 99})
            shop.place("poor@example.com", {"TEAPOT": 1}, DECLINED_CARD)
            fickle = shop.place("fickle@example.com", {"TEAPOT": 1})
            shop.settle()
            shop.cancel(fickle)
            headers = {"traceparent": TRACEPARENT, "Idempotency-Key": "once"}
            headers["Authorization"] = f"Bearer {kept_token(shop.folder)}"
            for _ in range(2):
                httpx.post(f"{shop.url}/orders", json=ORDER, headers=headers).raise_for_status()
                headers["traceparent"] = f"00-{'f' * 32}-{CALLER}-01"
            shop.settle()
            spans.events = list(
                shop.events()[["order_id", "type"]].itertuples(index=False, name=None)
            )
    return spans  # the services have ended, and with that their last spans have come


@pytest.mark.parametrize("order_id", ["1001", "1002", "1003", "1004"])
def test_the_spans_of_an_order_form_one_tree(traced, order_id):
    """One root, the command; every parent exists; all five services are in it."""
    found = traced.of(order_id)
    (root,) = found.roots()
    assert (root.name, root.kind, root.parent_span_id) == ("PlaceOrder", Span.SPAN_KIND_SERVER, b"")
    assert {service for service, _ in found} == set(SERVICES)
    ids = [span.span_id for _, span in found]
    assert len(ids) == len(set(ids))


def test_every_hop_of_every_event_has_its_span(traced):
    """Each event is sent once, and processed once by all who hear it: no more, no less."""
    expected = Tally()
    for _, type_ in traced.events:
        expected[EVENTS[type_].producer, f"send {type_}"] += 1
        for service in SERVICES:
            if service == "audit" or type_ in CONTRACT.consumed_by(service):
                expected[service, f"process {type_}"] += 1
    names = traced.names()
    assert {key: n for key, n in names.items() if key[1].startswith(("send ", "process "))} == (
        expected
    )
    assert names["payment", "Capture"] == 4
    assert names["payment", "Refund"] == 1
    assert names["order", "CancelOrder"] == 1


def test_a_parent_is_what_it_followed_from(traced):
    """From the mail back to the customer's click, through the provider and all services."""
    found = traced.of("1001")
    assert found.path(found.named("notification", "SendMail")) == [
        "notification: SendMail",
        "notification: process order.confirmed",
        "order: send order.confirmed",
        "order: process inventory.committed",
        "inventory: send inventory.committed",
        "inventory: process payment.processed",
        "payment: send payment.processed",
        "payment: Captured",
        "payment: Capture",
        "payment: process inventory.processed",
        "inventory: send inventory.processed",
        "inventory: process order.created",
        "order: send order.created",
        "order: PlaceOrder",
    ]


def test_a_cancellation_by_the_customer_is_in_the_trace_of_the_order(traced):
    """Days later perhaps: but it is the story of that order."""
    found = traced.of("1004")
    assert found.path(found.named("payment", "Refund"))[1:] == [
        "payment: process order.cancelled",
        "order: send order.cancelled",
        "order: CancelOrder",
        "order: send order.created",
        "order: PlaceOrder",
    ]


def test_a_callers_trace_goes_on(traced):
    """Its span is the parent of the command's; repeating the order changes nothing of it."""
    found = traced.of("1005")
    (root,) = found.roots()
    assert (root.trace_id.hex(), root.parent_span_id.hex()) == (TRACE, CALLER)
    assert found.names()["order", "send order.created"] == 1
    assert {service for service, _ in found} == set(SERVICES)


def test_times_are_those_of_the_work(traced):
    """No span ends before it begins; a child's work begins after its parent's."""
    found = traced.of("1001")
    begins = {span.span_id: span.start_time_unix_nano for _, span in found}
    for _, span in found:
        assert span.start_time_unix_nano <= span.end_time_unix_nano
        assert begins.get(span.parent_span_id, 0) <= span.start_time_unix_nano
