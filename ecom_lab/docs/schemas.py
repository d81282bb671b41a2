"""JSON Schema (draft 07, as AsyncAPI 3.0 wants it) of an event's body and of its headers."""

from typing import Any

import msgspec

from ecom.contract.contract import Contract, Event
from ecom.contract.envelope import REQUIRED

Schema = dict[str, Any]

PLACE = "#/components/schemas/"
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
}
FORM = {
    "ce-time": {"type": "string", "pattern": r"^[0-9T:.+-]{20,35}Z?$(?!\n)"},
    "ce-schemaversion": {"type": "string", "pattern": r"^0*[1-9][0-9]*$(?!\n)"},
}
VERSION = {"const": "1.0", "description": "The version of CloudEvents."}
SEQUENCE = {
    "type": "string",
    "pattern": r"^[0-9]{1,15}(@[A-Za-z0-9._-]{1,64})?$(?!\n)",
    "description": "The number of the event among its producer's of its type, from 1 and without a "
    "gap: by it a consumer knows what it has missed. Where replicas number for themselves, "
    "their numbers have @ and a name behind.",
}
TRACE = {
    "type": "string",
    "pattern": r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$(?!\n)",
    "description": "W3C trace context; without it, or with another, readers begin a new trace.",
}

OPTIONAL = {"ce-traceparent": TRACE, "ce-sequence": SEQUENCE}


def bodies(contract: Contract) -> dict[str, Schema]:
    """The schema of each event's body, and of what they hold, by name."""
    return msgspec.json.schema_components(contract.events, ref_template=PLACE + "{name}")[1]


def envelope() -> Schema:
    """The schema of the headers that every event has."""
    form = {"type": "string", "pattern": ID}
    known = {name: {**FORM.get(name, form), "description": MEANING[name]} for name in REQUIRED}
    return {
        "type": "object",
        "description": "CloudEvents 1.0 in RabbitMQ's binary mode; all values are text. Headers "
        "that are not named here are to be ignored.",
        "properties": {"ce-specversion": VERSION, **known, **OPTIONAL},
        "required": ["ce-specversion", *REQUIRED],
    }


def headers(kind: type[Event]) -> Schema:
    """The schema of one event type's headers."""
    narrower = {
        "ce-type": {"const": kind.key},
        "ce-source": {"type": "string", "pattern": rf"/{kind.producer}$(?!\n)"},
    }
    return {"allOf": [{"$ref": f"{PLACE}Envelope"}, {"type": "object", "properties": narrower}]}
