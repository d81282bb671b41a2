"""The envelope is CloudEvents' own: the official SDK reads what we say, and we what it says."""

import json
from contextlib import closing

import msgspec
import pytest
from cloudevents.core.bindings.rabbitmq import RabbitMQMessage, from_rabbitmq_event, to_binary_event
from cloudevents.core.v1.event import CloudEvent
from helpers import EXAMPLES, envelope_for, wire
from listening import listening, put

from ecom import Shop
from ecom.contract import topology
from ecom.contract.envelope import REQUIRED, decode, encode
from ecom.runtime.tables import Outbox
from ecom.stores.sqlite import SqliteStore
from ecom_lab.shop import CONTRACT, EVENTS


@pytest.fixture(scope="module")
def shop(broker):
    """A shop that several tests share."""
    with Shop(amqp_url=broker) as shop:
        yield shop


def sent_by(shop, service):
    """Headers and body, by id, of the events that a service's own tables say it has sent."""
    with closing(SqliteStore(shop.folder / f"{service}.db")) as store:
        return {row.id: (row.headers, row.body) for row in store.select(Outbox, {}, None)}


def test_the_sdk_reads_off_the_wire_what_we_have_sent(shop):
    """Attributes, extensions and data: the same as in the outboxes, and nothing else."""
    with listening(shop) as so_far:
        order = shop.place("ada@example.com", {"TEAPOT": 2})
        shop.settle()
        shop.cancel(order)
        shop.settle()
        heard = so_far()
    sent = {service: sent_by(shop, service) for service in ("order", "inventory", "payment")}
    assert len(heard) == 8
    for key, properties, body in heard:
        message = RabbitMQMessage(properties.headers, properties.content_type, body)
        event = from_rabbitmq_event(message)
        headers, ours = sent[EVENTS[key].producer][event.get_id()]
        assert event.get_data() == json.loads(ours)
        assert event.get_type() == key
        assert event.get_subject() == order
        assert event.get_datacontenttype() == "application/json"
        assert seen_as_headers(event) == headers


def seen_as_headers(event):
    """What the SDK makes of an event's attributes, as our headers have them."""
    attributes = {f"ce-{name}": value for name, value in event.get_attributes().items()}
    at = attributes["ce-time"].isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {name: value for name, value in attributes.items() if name != "ce-datacontenttype"} | {
        "ce-time": at
    }


def made_by_the_sdk(event, id="event-1"):
    """The event as somebody would make it who has the SDK, and not our code."""
    headers, _ = encode(envelope_for(event, id), event, 1)
    names = [name.removeprefix("ce-") for name in (*REQUIRED, "ce-traceparent")]
    attributes = {name: headers[f"ce-{name}"] for name in names}
    attributes["time"] = msgspec.convert(attributes["time"], type=EVENT_TIME)
    attributes["datacontenttype"] = "application/json"
    return to_binary_event(CloudEvent(attributes, msgspec.to_builtins(event)))


EVENT_TIME = type(EXAMPLES["inventory.processed"].held_until)


@pytest.mark.parametrize("event", EXAMPLES.values(), ids=EXAMPLES)
def test_we_read_what_the_sdk_makes(event):
    """Each type of event: the same as if our own code had made it, but for how the time looks."""
    message = made_by_the_sdk(event)
    envelope, read = decode(CONTRACT, message.headers, message.body)
    assert read == event
    assert envelope == msgspec.structs.replace(
        decode(CONTRACT, *wire(event))[0], time=envelope.time
    )
    assert envelope.time.startswith("2026-11-05T12:00:00")


def test_a_service_takes_an_event_that_the_sdk_made(shop):
    """Off a real queue, into audit's log, and no dead letter."""
    message, before = made_by_the_sdk(EXAMPLES["inventory.failed"], id="by-sdk"), len(shop.events())
    vouched = {**message.headers, "dead-override": "a test vouches for it"}
    put(shop, topology.queue(shop.name, "audit"), vouched, message.body)
    shop.wait_until(lambda: len(shop.events()) == before + 1)
    assert "inventory.failed" in list(shop.events()["type"])
    assert shop.dead.list().empty
