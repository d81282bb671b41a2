"""Spans and trace contexts, part by part: deadlines, providers, mails, and whatever goes wrong."""

import asyncio
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from collecting import CALLER, ORDER, TRACE, TRACEPARENT
from helpers import EXAMPLES, Hand, delivery, free_port, process
from msgspec.structs import replace
from opentelemetry.semconv._incubating.attributes import messaging_attributes
from posting import OverSmtp, mail, tried

from ecom.effects.http_gateway import HttpGateway
from ecom.effects.mime import headers_of, letter
from ecom.harness.processes import STOP_SECONDS
from ecom.process.performers import Performers
from ecom.runtime.messages import Command, Failed, Perform, Performed, Publish, Tick
from ecom.runtime.service import Impossible, traceparent
from ecom.runtime.tables import Effect
from ecom.sagas.choreography import choreography
from ecom.services.inventory import Stock
from ecom.services.notification import SendMail
from ecom.services.order import CancelOrder, NoSuchOrder, Order
from ecom.services.payment import Capture, Captured
from ecom.settings import Settings
from ecom.shop.provision import provision
from ecom.stores.base import Transaction
from ecom.telemetry.tracing import Tracer, context_from, context_of, span_of
from ecom_lab.shop import SAGA

NOWHERE = "amqp://nobody:nothing@127.0.0.1:1/"


class Kept(Tracer):
    """A tracer that keeps its spans."""

    def __init__(self, name):
        self.spans = []
        settings = Settings("amqp://me:secret@broker.example:5673/tea", Path("."), shop="tea")
        super().__init__(
            SAGA.services[name], SAGA.contract, settings, self.spans.append, lambda: None
        )

    def see(self, inputs, outputs):
        for output in outputs:
            if isinstance(output, Publish):
                self.published(output.row, 1.0)
        self.handled(inputs, 0.0, 1.0)


def test_a_deadline_has_a_span_and_a_parent():
    """Time is a cause, too: what the timer leads to is in the order's tree."""
    hand, tracer = Hand(choreography(hold_seconds=10.0).services["inventory"]), Kept("inventory")
    tx = Transaction(hand.store)
    tx[Stock].put(Stock("TEA-COSY", 5, 5))
    tx.commit()
    created = delivery(EXAMPLES["order.created"])
    tracer.see([created], hand.give(created))
    tracer.see([Tick()], hand.wait(11.0))
    by_name = {span.name: span for span in tracer.spans}
    expired, deadline = by_name["send inventory.expired"], by_name["HoldDeadline"]
    assert expired.parent == deadline.id
    assert deadline.parent == span_of(created.headers["ce-correlationid"])
    assert expired.trace == deadline.trace == by_name["process order.created"].trace


@pytest.mark.parametrize(
    "headers",
    [
        None,
        {},
        {"ce-traceparent": 5},
        {"ce-traceparent": "00-0-0-0"},
        {"ce-id": b"x"},
        {"ce-type": None},
        {"ce-subject": "a\nb"},
        {"ce-traceparent": f"00-{'0' * 32}-{CALLER}-01"},
    ],
)
def test_what_is_no_event_has_no_span(headers):
    """Tracing must never stop an order, whatever somebody puts into a header."""
    tracer, good = Kept("inventory"), delivery(EXAMPLES["order.created"])
    changed = headers and good.headers | headers
    bad = type(good)(good.channel, 2, good.exchange, good.key, changed, good.body)
    tracer.handled([bad, good], 0.0, 1.0)
    assert [span.name for span in tracer.spans] == ["process order.created"]


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        ([TRACEPARENT], TRACEPARENT),
        ([], ""),
        ([TRACEPARENT, TRACEPARENT], ""),
        ([TRACEPARENT + "\n"], ""),
        ([TRACEPARENT.upper()], ""),
        ([f"ff-{TRACE}-{CALLER}-01"], ""),
        ([f"00-{'0' * 32}-{CALLER}-01"], ""),
        ([f"00-{TRACE}-{'0' * 16}-01"], ""),
        (["00-é"], ""),
    ],
)
def test_only_a_good_trace_context_is_taken_from_a_caller(headers, taken):
    """By the W3C's rules; anything else is as if there were none."""
    assert context_from(headers) == taken


EFFECT = Effect(
    7,
    "0f0e0d0c-0000-5000-8000-00000000abcd",
    "Capture",
    "1001",
    "capture/1001",
    b"",
    "command-1",
    TRACEPARENT,
    0.0,
    "1",
    None,
)


def ask(headers, act):
    """Serve one HTTP request on a port, keep its headers, answer nothing useful."""

    async def answer(reader, writer):
        headers.append((await reader.readuntil(b"\r\n\r\n")).decode().lower())
        writer.close()

    async def scene():
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            return await act("http://{}:{}".format(*server.sockets[0].getsockname()))

    return asyncio.run(scene())


def test_the_provider_is_told_the_trace_context_of_each_attempt():
    """Its parent is the span of that very attempt, in the order's trace."""
    heard, told = [], []

    async def act(url):
        gateway = HttpGateway(url)
        performers = Performers({Capture: gateway.capture}, gateway.close)
        for attempts in (0, 1):
            row = type(EFFECT)(
                *(getattr(EFFECT, name) for name in EFFECT.__struct_fields__[:12]),
                attempts=attempts,
            )
            row = replace(row, created_at=time.time())  # what is older is asked for, not sent
            answer = await performers.perform(Perform(row, Capture("1001", 5, "4242")))
            tracer.performed(row, answer, 0.0, 1.0)
            told.append(f"\r\ntraceparent: {context_of(row)}\r\n")
        await performers.close()

    tracer = Kept("payment")
    ask(heard, act)
    assert all(each in head for each, head in zip(told, heard, strict=True))
    assert [span.id for span in tracer.spans] == [each.split("-")[2] for each in told]
    assert {span.trace for span in tracer.spans} == {TRACE}
    assert {(span.kind, span.about["error.type"]) for span in tracer.spans} == {
        ("CLIENT", "OutcomeUnknown")
    }


def test_what_an_answer_leads_to_is_below_the_call():
    """The call, then the handling of its answer, whose span what is emitted there has as parent."""
    tracer = Kept("payment")
    tracer.performed(EFFECT, Performed(7, Captured("1001")), 0.0, 1.0)
    call, captured = tracer.spans
    assert (call.name, captured.name, captured.parent) == ("Capture", "Captured", call.id)
    failed = Failed(7, "NotDone: no money on 4242424242424242")
    tracer.performed(EFFECT, failed, 0.0, 1.0)
    assert tracer.spans[2].about["error.type"] == "NotDone"
    assert tracer.spans[2].error == "NotDone: no money on …4242"


# The conventions' own names, as their package has them.
NAMES = {value for name, value in vars(messaging_attributes).items() if name.isupper()}
KNOWN = {
    "messaging.system": "rabbitmq",
    "messaging.destination.name": "tea.events",
    "server.address": "broker.example",
    "server.port": 5673,
    "ecom.order": "1001",
}


def test_a_message_has_the_attributes_of_the_conventions():
    """RabbitMQ's: the destination is the exchange, and beside it there is the routing key."""
    hand, tracer = Hand(SAGA.services["inventory"]), Kept("inventory")
    created = delivery(EXAMPLES["order.created"], tag=7)
    tracer.see([created], hand.give(created))
    sent, processed = tracer.spans
    assert sent.about == KNOWN | {
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.rabbitmq.destination.routing_key": "inventory.failed",
        "messaging.message.id": sent.about["messaging.message.id"],
    }
    assert processed.about == KNOWN | {
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.rabbitmq.destination.routing_key": "order.created",
        "messaging.rabbitmq.message.delivery_tag": 7,
        "messaging.message.id": "event-1",
    }
    for span in tracer.spans:
        assert {name for name in span.about if name.startswith("messaging.")} <= NAMES


def test_what_is_of_no_known_type_has_no_routing_key():
    """Who makes up types must not make up attributes: they are what collectors index."""
    tracer, good = Kept("inventory"), delivery(EXAMPLES["order.created"])
    made_up = type(good)(1, 1, "e", "k", good.headers | {"ce-type": "made.up"}, good.body)
    tracer.handled([made_up], 0.0, 1.0)
    assert "messaging.rabbitmq.destination.routing_key" not in tracer.spans[0].about


def test_a_command_names_its_order_or_its_error():
    """The order it placed, which nobody knew when it was asked; or why there is none."""

    async def run():
        placed, refused, gone = [asyncio.get_running_loop().create_future() for _ in range(3)]
        placed.set_result(Order("1001", "a@b", "4242", 5, "PENDING", None, 0.0, None, (), 1001))
        refused.set_exception(NoSuchOrder("there is no order 7"))
        gone.cancel()
        answers = (placed, refused, gone)
        tracer.handled([Command("id", CancelOrder("7"), it) for it in answers], 0.0, 1.0)

    tracer = Kept("order")
    asyncio.run(run())
    assert [span.about for span in tracer.spans] == [
        {"ecom.order": "1001"},
        {"error.type": "NoSuchOrder"},
        {},
    ]
    assert tracer.spans[1].error == "NoSuchOrder: there is no order 7"


@pytest.mark.parametrize("to", ["ada@example.com", "päivi@example.com"])
def test_a_mail_has_the_trace_context_in_a_header(to):
    """One header more, and nothing else changes."""
    headers = headers_of("mail/1", SendMail("1001", to, "Hello", "Text"), "tea")
    plain, traced = (letter(headers | more, "Text") for more in ({}, {"traceparent": TRACEPARENT}))
    line = f"traceparent: {TRACEPARENT}\r\n".encode()
    assert line in traced
    assert traced.replace(line, b"") == plain


def test_a_mail_server_gets_the_trace_context_and_no_forged_one(outside):
    """What is set while the effect is performed goes out with the mail; a line end never does."""
    traceparent.set(TRACEPARENT)
    smtp = OverSmtp(outside)

    async def send():
        mailer = smtp.opened()
        sent = await tried(mailer.send(*mail()))
        traceparent.set("x\r\nBcc: all@example.com")
        forged = await tried(mailer.send(*mail("two")))
        await mailer.close()
        return sent, forged

    assert asyncio.run(send()) == (None, Impossible)


def test_a_collector_that_does_not_answer_holds_nobody_up(tmp_path):
    """Orders are accepted, and the process ends well when it is asked to: spans are lost."""
    provision(SAGA, tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        told = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://{}:{}".format(*deaf.getsockname())}
        told |= {"OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_EXPORTER_OTLP_TIMEOUT": "60"}
        told |= {"ECOM_HTTP_PORT": str(port := free_port())}
        service = process("order", NOWHERE, tmp_path, "shop", **told)
        with httpx.Client(transport=httpx.HTTPTransport(retries=7)) as http:
            url = f"http://127.0.0.1:{port}/orders"
            assert http.post(url, json=ORDER).status_code == 202
        with deaf.accept()[0]:  # it takes the spans, and says nothing
            service.terminate()
            assert service.wait(STOP_SECONDS) == 0


def test_nobody_pays_for_what_nobody_asked_for():
    """OpenTelemetry is not loaded by a service, unless it is asked for traces."""
    code = (
        "import sys, ecom.process.driver as it; from ecom_lab.shop import SAGA;"
        "from ecom.settings import Settings; from pathlib import Path;"
        "settings = Settings('amqp://x', Path('.'));"
        "assert it.tracer_for(SAGA.services['order'], SAGA.contract, settings) is None;"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_an_exporter_we_do_not_know_is_refused_in_one_sentence(tmp_path):
    provision(SAGA, tmp_path)
    service = process("audit", NOWHERE, tmp_path, "shop", OTEL_TRACES_EXPORTER="zipkin")
    assert service.wait(20) == 1
    (sentence,) = (tmp_path / "audit-1.log").read_text().splitlines()
    assert sentence == "OTEL_TRACES_EXPORTER is 'zipkin': set it to one of otlp, console, none."
