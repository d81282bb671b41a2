"""The contract as an AsyncAPI 3.0 document: enough to write a service in any language.

Where it says `{shop}`, the shop's name is to be put: in addresses it is a parameter, as AsyncAPI
has them; in bindings, which have none, it is simply text.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ecom.contract import topology
from ecom.contract.contract import Contract, Event
from ecom.contract.envelope import MAX_BODY, REQUIRED, Headers
from ecom.contract.permissions import user

Document = dict[str, Any]

SHOP = "{shop}"
PERSISTENT = 2
FRAME = Path(__file__).with_name("asyncapi.json")  # what is the same for any contract
ABOUT = FRAME.with_suffix(".md")
SCHEMAS = "#/components/schemas/"


def asyncapi(contract: Contract, examples: Mapping[str, tuple[Headers, Any]]) -> Document:
    """The document, as JSON values; `examples` are headers and body of an event, by its key."""
    events, services = contract.by_key, contract.services
    publishing = {f"{it.producer}.publishes.{key}": _publishes(it) for key, it in events.items()}
    consuming = {f"{service}.consumes": _consumes(contract, service) for service in services}
    channels = {key: _event_channel(contract, kind) for key, kind in events.items()}
    queues = {f"queue.{service}": _queue_channel(contract, service) for service in services}
    document = json.loads(FRAME.read_text(encoding="utf-8"))
    document["info"]["description"] = _about()
    document["channels"] = channels | queues
    document["operations"] = publishing | consuming
    document["components"]["messages"] = {
        key: _message(events[key], *each) for key, each in examples.items()
    }
    document["components"]["schemas"] = {"Envelope": _envelope(), **bodies(contract)}
    return document


def _about() -> str:
    """What a newcomer reads first: a line each paragraph, as Markdown has it."""
    text = ABOUT.read_text(encoding="utf-8").format(shop=SHOP, max_body=MAX_BODY)
    return re.sub(r"(?<!\n)\n(?!\n)", " ", text.strip())


# ── channels, and what is done there ──────────────────────────────────────────────────────────
def _event_channel(contract: Contract, kind: type[Event]) -> Document:
    """A routing key of the shop's exchange."""
    name = topology.exchange(SHOP)
    exchange = {"name": name, "type": "topic", "durable": True, "autoDelete": False}
    consumers = [name for name in contract.services if kind.key in contract.consumed_by(name)]
    return {
        "address": kind.key,
        "description": f"{kind.__doc__} Consumed by {', '.join(consumers)}.",
        "messages": _messages([kind.key]),
        "bindings": _amqp({"is": "routingKey", "exchange": exchange}),
    }


def _queue_channel(contract: Contract, service: str) -> Document:
    """A service's queue, its arguments, and all the routing keys that lead there."""
    name = topology.queue(SHOP, service)
    binding = {
        "is": "queue",
        "queue": {"name": name, "durable": True, "exclusive": False, "autoDelete": False},
        "x-arguments": topology.queues(contract, SHOP)[name],
        "x-bindings": [key for queue, key in topology.bindings(contract, SHOP) if queue == name],
    }
    return {
        "address": name,
        "description": f"What {service} consumes.",
        "parameters": {"shop": {"$ref": "#/components/parameters/shop"}},
        "messages": _messages(contract.consumed_by(service)),
        "bindings": _amqp(binding),
    }


def _publishes(kind: type[Event]) -> Document:
    who = user(SHOP, kind.producer)
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{kind.key}"},
        "summary": kind.__doc__,
        "tags": [{"name": kind.producer}],
        "bindings": _amqp({"userId": who, "deliveryMode": PERSISTENT, "mandatory": True}),
        "messages": [{"$ref": f"#/channels/{kind.key}/messages/{kind.key}"}],
    }


def _consumes(contract: Contract, service: str) -> Document:
    channel = f"#/channels/queue.{service}"
    keys = contract.consumed_by(service)
    return {
        "action": "receive",
        "channel": {"$ref": channel},
        "tags": [{"name": service}],
        "bindings": _amqp({"ack": True}),
        "messages": [{"$ref": f"{channel}/messages/{key}"} for key in keys],
    }


def _amqp(binding: Document) -> Document:
    return {"amqp": {**binding, "bindingVersion": "0.3.0"}}


def _messages(keys: Iterable[str]) -> Document:
    return {key: {"$ref": f"#/components/messages/{key}"} for key in keys}


# ── messages: JSON Schema, draft 07, as AsyncAPI 3.0 wants it ─────────────────────────────────
ID = r"^[A-Za-z0-9._:/-]{1,128}$(?!\n)"  # what `envelope.is_id` takes
MEANING = {
    "ce-id": "Unique: by it a consumer knows what it has handled already.",
    "ce-source": "Who published it; the last part is the service.",
    "ce-type": "The event's type, which is its routing key, too.",
    "ce-time": "When it happened: RFC 3339, in UTC.",
    "ce-subject": "The saga it belongs to: the same as the first field of the body.",
    "ce-schemaversion": "The version of the event's fields, from 1.",
    "ce-correlationid": "What began the saga: the same in all events of one request.",
    "ce-causationid": "What this event follows from: an event's ce-id, or a request's id.",
    "ce-traceparent": "W3C trace context; without it, or with another, readers begin a new trace.",
    "ce-sequence": "The number of the event among its producer's of its type, from 1 and without a "
    "gap: by it a consumer knows what it has missed. Where replicas number for themselves, "
    "their numbers have @ and a name behind.",
}
FORM = {
    "ce-time": r"^[0-9T:.+-]{20,35}Z?$(?!\n)",
    "ce-schemaversion": r"^0*[1-9][0-9]*$(?!\n)",
    "ce-traceparent": r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$(?!\n)",
    "ce-sequence": r"^[0-9]{1,15}(@[A-Za-z0-9._-]{1,64})?$(?!\n)",
}
VERSION = {"const": "1.0", "description": "The version of CloudEvents."}


def bodies(contract: Contract) -> dict[str, Document]:
    """The schema of each event's body, and of what they hold, by name."""
    return msgspec.json.schema_components(contract.events, ref_template=SCHEMAS + "{name}")[1]


def _envelope() -> Document:
    """The schema of the headers that every event has."""
    known = {
        name: {"type": "string", "pattern": FORM.get(name, ID), "description": meaning}
        for name, meaning in MEANING.items()
    }
    return {
        "type": "object",
        "description": "CloudEvents 1.0 in RabbitMQ's binary mode; all values are text. Headers "
        "that are not named here are to be ignored.",
        "properties": {"ce-specversion": VERSION, **known},
        "required": ["ce-specversion", *REQUIRED],
    }


def _message(kind: type[Event], seen: Headers, body: Any) -> Document:
    narrower = {
        "ce-type": {"const": kind.key},
        "ce-source": {"type": "string", "pattern": rf"/{kind.producer}$(?!\n)"},
    }
    its = {"allOf": [{"$ref": f"{SCHEMAS}Envelope"}, {"type": "object", "properties": narrower}]}
    return {
        "name": kind.key,
        "summary": kind.__doc__,
        "contentType": "application/json",
        "headers": its,
        "payload": {"$ref": SCHEMAS + kind.__name__},
        "correlationId": {"location": "$message.header#/ce-correlationid"},
        "examples": [{"headers": seen, "payload": body}],
    }
