"""The contract as an AsyncAPI 3.0 document: enough to write a service in any language.

Where it says `{shop}`, the shop's name is to be put: in addresses it is a parameter, as AsyncAPI
has them; in bindings, which have none, it is simply text. `asyncapi.json` has what is the same for
any contract, and its `parts`: a channel, an operation, a message, with $names in them.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from string import Template
from typing import Any

import msgspec

from ecom.contract import topology
from ecom.contract.contract import Contract, Event
from ecom.contract.envelope import MAX_BODY, Headers

Document = dict[str, Any]

SHOP = "{shop}"
FRAME = Path(__file__).with_name("asyncapi.json")
ABOUT = FRAME.with_suffix(".md")


def asyncapi(contract: Contract, examples: Mapping[str, tuple[Headers, Any]]) -> Document:
    """The document, as JSON values; `examples` are headers and body of an event, by its key."""
    document = json.loads(FRAME.read_text(encoding="utf-8"))
    parts, components = document.pop("parts"), document["components"]
    document["info"]["description"] = _about()
    events = {key: _of_event(contract, kind) for key, kind in contract.by_key.items()}
    services = {name: _of_service(contract, name) for name in contract.services}
    for key, its in events.items():
        document["channels"][key] = filled(parts["event channel"], its)
        name = f"{its['service']}.publishes.{key}"
        document["operations"][name] = filled(parts["publishes"], its)
    for service, its in services.items():
        document["channels"][f"queue.{service}"] = filled(parts["queue channel"], its)
        at = f"#/channels/queue.{service}/messages/"
        more = {"messages": [{"$ref": at + key} for key in its["messages"]]}
        document["operations"][f"{service}.consumes"] = filled(parts["consumes"], its | more)
    for key, (headers, body) in examples.items():
        more = {"headers": headers, "body": body}
        components["messages"][key] = filled(parts["message"], events[key] | more)
    components["schemas"] |= bodies(contract)
    return document


def filled(part: Any, known: Mapping[str, Any]) -> Any:
    """A part with what is known in place of each `$name`: any value, where a text is that alone."""
    if isinstance(part, dict):
        return {name: filled(each, known) for name, each in part.items()}
    if isinstance(part, list):
        return [filled(each, known) for each in part]
    if isinstance(part, str):
        is_value = part.startswith("$") and part[1:] in known
        return known[part[1:]] if is_value else Template(part).safe_substitute(known)
    return part


def bodies(contract: Contract) -> dict[str, Document]:
    """The schema of each event's body, and of what they hold, by name: JSON Schema, draft 07, as
    AsyncAPI 3.0 wants it."""
    place = "#/components/schemas/{name}"
    return msgspec.json.schema_components(contract.events, ref_template=place)[1]


def _about() -> str:
    """What a newcomer reads first: a line each paragraph, as Markdown has it."""
    text = ABOUT.read_text(encoding="utf-8").format(shop=SHOP, max_body=MAX_BODY)
    return re.sub(r"(?<!\n)\n(?!\n)", " ", text.strip())


def _of_event(contract: Contract, kind: type[Event]) -> dict[str, Any]:
    """What is known of an event, whose key is a routing key of the shop's exchange."""
    consumers = (name for name in contract.services if kind.key in contract.consumed_by(name))
    return {
        "key": kind.key,
        "kind": kind.__name__,
        "meaning": kind.__doc__,
        "service": kind.producer,
        "user": topology.user(SHOP, kind.producer),
        "consumers": ", ".join(consumers),
        "exchange": topology.exchange(SHOP),
        "messages": _messages([kind.key]),
    }


def _of_service(contract: Contract, service: str) -> dict[str, Any]:
    """What is known of a service: its queue, and all the routing keys that lead there."""
    queue = topology.queue(SHOP, service)
    return {
        "service": service,
        "queue": queue,
        "arguments": topology.queues(contract, SHOP)[queue],
        "keys": [key for its, key in topology.bindings(contract, SHOP) if its == queue],
        "messages": _messages(contract.consumed_by(service)),
    }


def _messages(keys: Iterable[str]) -> Document:
    return {key: {"$ref": f"#/components/messages/{key}"} for key in keys}
