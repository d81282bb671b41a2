"""The envelope of an event, and the strict reading of bytes as events.

Wire format: CloudEvents 1.0 for RabbitMQ, binary content mode. Whatever arrives,
reading it raises nothing but `Refused`, whose text says why in one sentence.
"""

import json
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha1
from operator import itemgetter
from typing import Any

import msgspec
from msgspec import Struct

from ecom.contract.contract import Contract, Event, subject_of

Headers = dict[str, Any]
Wire = tuple[Headers, bytes]  # a message's headers and body

MAX_BODY = 256 * 1024  # bytes of an event

SEQUENCE = "ce-sequence"  # CloudEvents' extension: as text, too, the later one is the greater
# The attributes that every message of ours has, as headers.
REQUIRED = (
    *("ce-id", "ce-source", "ce-type", "ce-time", "ce-subject"),
    *("ce-schemaversion", "ce-correlationid", "ce-causationid"),
)
ATTRIBUTES = ("ce-specversion", *REQUIRED, "ce-traceparent", SEQUENCE)

_required = itemgetter(*REQUIRED)
_ONE_ID = "[A-Za-z0-9._:/-]{1,128}"
_ID = re.compile(rf"{_ONE_ID}\Z")
_TIME = r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,40})?(?:[Zz]|[+-]\d\d:\d\d)"
_ONE = {"ce-time": re.compile(rf"{_TIME}\Z", re.ASCII)}  # else an id
_ALL = "\n".join(_TIME if name in _ONE else _ONE_ID for name in REQUIRED)
_WELL_FORMED = re.compile(rf"{_ALL}\Z", re.ASCII)
_HEX = re.compile(r"[0-9a-f]*[1-9a-f][0-9a-f]*\Z")  # zero is no id of a trace
_TRACE = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\Z")
_OURS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[78]")
_encode = msgspec.json.Encoder().encode


@lru_cache(maxsize=16)
def _decoders(contract: Contract) -> dict[str, Callable[[bytes], Event]]:
    return {key: msgspec.json.Decoder(kind).decode for key, kind in contract.by_key.items()}


class Refused(Exception):
    """This message can never be handled; the text says why."""


class Envelope(Struct, frozen=True):
    """What every event carries beside its fields."""

    id: str  # unique; the inbox recognises duplicates by it
    type: str  # routing key, e.g. "order.created"
    version: int
    time: str  # when it happened, RFC 3339, UTC
    producer: str  # the service that published it
    subject: str  # the saga that the event belongs to
    correlation: str  # id of the command that began the saga: the same in all its events
    causation: str  # id of what caused this event
    traceparent: str  # W3C trace context, one trace a saga


def is_id(value: object) -> bool:
    """Whether this can be an id: short, and harmless in a log line, a header or a column."""
    return isinstance(value, str) and _ID.match(value) is not None


def derived_id(cause: str, name: str) -> str:
    """The id of what follows from `cause` under `name`: the same when a handler runs again. A UUID
    of version 8 (RFC 9562): 48 bits of the cause's id, if that is a UUID of ours, then 72 of a
    hash. So all ids of a saga begin with the time of its first (see `new_id`) and are neighbours in
    every index: a batch of them dirties a few pages, not one a row."""
    digits = sha1(f"{cause}/{name}".encode()).hexdigest()
    head = cause[:13] if _OURS.match(cause) else f"{digits[18:26]}-{digits[26:30]}"
    return f"{head}-8{digits[:3]}-8{digits[3:6]}-{digits[6:18]}"


def command_id(saga: str, subject: str) -> str:
    """The id of a command about a saga that has begun: the same however often it is repeated."""
    return derived_id(saga, f"command/{subject}")


def is_derived(id: str) -> bool:
    """Whether this is the id of something that has a cause."""
    return id[14:15] == "8" and _OURS.match(id) is not None


def new_id(now: float, randomness: bytes) -> str:
    """The id of what has no cause: a UUID of version 7, from epoch seconds and nine bytes."""
    time, digits = f"{int(now * 1000):012x}", randomness.hex()
    return f"{time[:8]}-{time[8:]}-7{digits[:3]}-8{digits[3:6]}-{digits[6:18]}"


@lru_cache(maxsize=64)  # a batch has one time
def rfc3339(now: float) -> str:
    """Epoch seconds as RFC 3339 text, UTC, milliseconds."""
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def trace_after(traceparent: str, correlation: str, id: str) -> str:
    """The trace context of an event `id`, in the trace of its cause, else in a new one."""
    trace = traceparent[3:35] if traceparent else _hex(correlation, 32)
    return f"00-{trace}-{_hex(id, 16)}-01"


def _hex(text: str, length: int) -> str:
    digits = text.replace("-", "")[-length:]  # the end: ids of one saga begin alike
    if len(digits) == length and _HEX.match(digits):
        return digits
    return uuid.uuid5(uuid.NAMESPACE_OID, text).hex[:length]


def encode(envelope: Envelope, event: Event, number: int, mark: str = "") -> Wire:
    """The headers and body of `event`, ready to publish: the `number`-th of its type and mark."""
    headers = {
        "ce-specversion": "1.0",
        "ce-id": envelope.id,
        "ce-source": f"/ecom/{envelope.producer}",
        "ce-type": envelope.type,
        "ce-time": envelope.time,
        "ce-subject": envelope.subject,
        "ce-schemaversion": str(envelope.version),
        "ce-correlationid": envelope.correlation,
        "ce-causationid": envelope.causation,
        "ce-traceparent": envelope.traceparent,
        SEQUENCE: f"{number:010}{mark}",
    }
    return headers, _encode(event)


def to_int(value: object) -> int:
    """The number that a header says as text; 0, which no row or event has, if it says none."""
    if isinstance(value, str) and len(value) < 16 and value.isascii() and value.isdecimal():
        return int(value)  # as much as a column holds
    return 0


def decode(contract: Contract, headers: Headers | None, body: bytes) -> tuple[Envelope, Event]:
    """Read one message strictly, as an event of the contract. Raises `Refused`, nothing else."""
    envelope = _read_envelope(contract, headers or {})
    if len(body) > MAX_BODY:
        raise Refused(f"body of {len(body)} bytes, more than {MAX_BODY}")
    try:
        event = _decoders(contract)[envelope.type](body)
        # Our own events are canonical: they re-encode to the same bytes, and need no second look.
        if _encode(event) != body:
            _look_closely(body)
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError) as error:
        raise Refused(f"malformed body: {str(error)[:200]}") from None
    if subject_of(event) != envelope.subject:
        raise Refused("ce-subject is not what the body speaks of")
    return envelope, event


def _read_envelope(contract: Contract, headers: Headers) -> Envelope:
    if headers.get("ce-specversion") != "1.0":
        raise Refused("not a CloudEvent of specversion 1.0")
    try:
        values = _required(headers)
        well_formed = _WELL_FORMED.match("\n".join(values))
    except (KeyError, TypeError):  # one is missing, or no text
        well_formed = None
    if well_formed is None:
        said = ((name, headers.get(name)) for name in REQUIRED)
        bad = next(
            name for name, it in said if not (isinstance(it, str) and _ONE.get(name, _ID).match(it))
        )
        raise Refused(f"header {bad} is missing or malformed")
    id_, source, type_, time, subject, version, correlation, causation = values
    if (kind := contract.by_key.get(type_)) is None:
        raise Refused(f"unknown event type {type_}")
    if not version.isdecimal() or int(version) < 1:
        raise Refused("header ce-schemaversion is not a number")
    if not source.endswith(f"/{kind.producer}"):
        raise Refused(f"{type_} cannot come from {source}")
    trace = headers.get("ce-traceparent")
    if not (isinstance(trace, str) and _TRACE.match(trace)):
        trace = trace_after("", correlation, id_)  # tracing must never stop an order
    about = int(version), _read_time(time), kind.producer, subject
    return Envelope(id_, type_, *about, correlation, causation, trace)


@lru_cache(maxsize=1024)  # and many messages come from one batch
def _read_time(value: str) -> str:
    """A time as RFC 3339 has it, in UTC; a leap second is the moment after it."""
    try:
        text, leap = value.upper(), value[17:19] == "60"
        time = datetime.fromisoformat(f"{text[:17]}59{text[19:]}" if leap else text)
        time = time.astimezone(UTC) + timedelta(seconds=leap)
    except (ValueError, OverflowError):
        raise Refused("header ce-time is no time of RFC 3339") from None
    if leap and (time.hour, time.minute) != (0, 0):
        raise Refused("header ce-time has a leap second in the middle of a day")
    is_ours = value[10] == "T" and value.endswith("Z") and not leap
    return value if is_ours else f"{time.replace(tzinfo=None).isoformat()}Z"


def _look_closely(body: bytes) -> None:
    """Refuse what JSON parsers disagree on, in unknown fields too. Raises `ValueError`."""
    value = json.loads(body, object_pairs_hook=_no_duplicates, parse_int=_int64)
    # Lone surrogates can be read but not written; NaN and 1e999 are not JSON, going out.
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


def _int64(digits: str) -> int:
    if not -(2**63) <= (value := int(digits)) < 2**63:
        raise ValueError("a number needs more than 64 bits")
    return value


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("an object names a key twice")
    return result
