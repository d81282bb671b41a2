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
from ecom.contract.envelope import MAX_BODY, Headers
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
    document["components"]["schemas"] |= bodies(contract)
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
def bodies(contract: Contract) -> dict[str, Document]:
    """The schema of each event's body, and of what they hold, by name."""
    return msgspec.json.schema_components(contract.events, ref_template=SCHEMAS + "{name}")[1]


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
