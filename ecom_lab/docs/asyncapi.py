"""The contract as an AsyncAPI 3.0 document: enough to write a service in any language.

Where it says `{shop}`, the shop's name is to be put: in addresses it is a parameter, as AsyncAPI
has them; in bindings, which have none, it is simply text.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ecom.contract import topology
from ecom.contract.contract import Contract
from ecom.contract.envelope import MAX_BODY, Headers
from ecom.contract.event import Event
from ecom.contract.permissions import user
from ecom_lab.docs.schemas import PLACE, bodies, envelope, headers

Document = dict[str, Any]

SHOP = "{shop}"
AMQP = {"bindingVersion": "0.3.0"}
PERSISTENT = 2
ABOUT = f"""\
Services agree on every saga without a coordinator: each publishes what it did, and consumes what \
the others did.

To take part: connect as the service's own user, consume its queue, and publish its events to the \
exchange. Nothing needs to be declared. Wherever this document says `{{shop}}`, put the shop's name.

**Delivery** is at least once, and in no certain order: pass over what came before under the same \
`ce-id`, and acknowledge only after your work is safe. What can never be handled, reject without \
requeueing: the broker keeps it for an operator. Publish persistent and `mandatory`, and wait for \
the broker's confirm.

**Who published it**: the AMQP property `user_id` is required of every event. It is the \
publisher's user name (`userId` in the bindings of operations); the broker refuses any other, and \
readers refuse an event whose `user_id` is not that of the service that may publish it. Where all \
services share one user, as an external broker may have it, that is its name. Only what an \
operator puts straight into a queue, through the default exchange, is exempt.

**Other properties**: `message_id` repeats `ce-id`; `delivery_mode` is 2. A body is one JSON \
object in UTF-8, of at most {MAX_BODY} bytes, in which no key is named twice.

**Versions**: ignore fields and headers that you do not know. A field may be added, with a \
default; anything else is a new event type.

**Not events**: under routing keys that end in `.tally`, `.missing` or `.echo` the services count \
what they have published and handled, so that a loss is noticed. They have no `ce-` headers. A \
client that does not count acknowledges them, and passes over."""


def asyncapi(contract: Contract, examples: Mapping[str, tuple[Headers, Any]]) -> Document:
    """The document, as JSON values; `examples` are headers and body of an event, by its key."""
    events, services = contract.by_key, contract.services
    publishing = {f"{it.producer}.publishes.{key}": _publishes(it) for key, it in events.items()}
    consuming = {f"{service}.consumes": _consumes(contract, service) for service in services}
    channels = {key: _event_channel(contract, kind) for key, kind in events.items()}
    queues = {f"queue.{service}": _queue_channel(contract, service) for service in services}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "ecom",
            "version": "1",
            "description": ABOUT,
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {"broker": _server()},
        "channels": channels | queues,
        "operations": publishing | consuming,
        "components": {
            "messages": {key: _message(events[key], *each) for key, each in examples.items()},
            "schemas": {"Envelope": envelope(), **bodies(contract)},
            "parameters": {"shop": {"default": "ecom", "description": "The shop's name."}},
            "securitySchemes": {
                "user": {"type": "userPassword", "description": "Each service has its own user."}
            },
        },
    }


def _server() -> Document:
    return {
        "host": "{address}",
        "protocol": "amqp",
        "protocolVersion": "0-9-1",
        "pathname": "/{vhost}",
        "description": "RabbitMQ, 3.10 or newer.",
        "variables": {
            "address": {"default": "localhost:5672"},
            "vhost": {"default": "ecom", "description": "The shop's own, usually of its name."},
        },
        "security": [{"$ref": "#/components/securitySchemes/user"}],
    }


def _event_channel(contract: Contract, kind: type[Event]) -> Document:
    """A routing key of the shop's exchange."""
    name = topology.exchange(SHOP)
    exchange = {"name": name, "type": "topic", "durable": True, "autoDelete": False}
    consumers = [name for name in contract.services if kind.key in contract.consumed_by(name)]
    return {
        "address": kind.key,
        "description": f"{kind.__doc__} Consumed by {', '.join(consumers)}.",
        "messages": _messages([kind.key]),
        "bindings": {"amqp": {"is": "routingKey", "exchange": exchange, **AMQP}},
    }


def _queue_channel(contract: Contract, service: str) -> Document:
    """A service's queue, its arguments, and all the routing keys that lead there."""
    name = topology.queue(SHOP, service)
    keys = [key for queue, key in topology.bindings(contract, SHOP) if queue == name]
    return {
        "address": name,
        "description": f"What {service} consumes.",
        "parameters": {"shop": {"$ref": "#/components/parameters/shop"}},
        "messages": _messages(contract.consumed_by(service)),
        "bindings": {
            "amqp": {
                "is": "queue",
                "queue": {"name": name, "durable": True, "exclusive": False, "autoDelete": False},
                "x-arguments": topology.queues(contract, SHOP)[name],
                "x-bindings": keys,
                **AMQP,
            }
        },
    }


def _publishes(kind: type[Event]) -> Document:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{kind.key}"},
        "summary": kind.__doc__,
        "tags": [{"name": kind.producer}],
        "bindings": {
            "amqp": {
                "userId": user(SHOP, kind.producer),
                "deliveryMode": PERSISTENT,
                "mandatory": True,
                **AMQP,
            }
        },
        "messages": [{"$ref": f"#/channels/{kind.key}/messages/{kind.key}"}],
    }


def _consumes(contract: Contract, service: str) -> Document:
    channel = f"#/channels/queue.{service}"
    keys = contract.consumed_by(service)
    return {
        "action": "receive",
        "channel": {"$ref": channel},
        "tags": [{"name": service}],
        "bindings": {"amqp": {"ack": True, **AMQP}},
        "messages": [{"$ref": f"{channel}/messages/{key}"} for key in keys],
    }


def _message(kind: type[Event], seen: Headers, body: Any) -> Document:
    return {
        "name": kind.key,
        "summary": kind.__doc__,
        "contentType": "application/json",
        "headers": headers(kind),
        "payload": {"$ref": PLACE + kind.__name__},
        "correlationId": {"location": "$message.header#/ce-correlationid"},
        "examples": [{"headers": seen, "payload": body}],
    }


def _messages(keys: Iterable[str]) -> Document:
    return {key: {"$ref": f"#/components/messages/{key}"} for key in keys}
