"""The contract's strict door: bytes become events, or are refused with a reason; never else."""

import re
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from uuid import RFC_4122, UUID

import pytest
from helpers import EXAMPLES, envelope_for, steady, wire
from hypothesis import example, given
from hypothesis import strategies as st

from ecom.contract.envelope import (
    MAX_BODY,
    Refused,
    decode,
    derived_id,
    encode,
    new_id,
    trace_after,
)
from ecom_lab.shop import CONTRACT, EVENTS

CREATED = EXAMPLES["order.created"]
HEADERS, BODY = wire(CREATED)

BREAKING = {  # JSON values that break naive readers
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 40_000 + b"1" + b"}" * 40_000,
    "2^63": b"9223372036854775808",
    "-2^63-1": b"-9223372036854775809",
    "5,000 digits": b"9" * 5_000,
    "NaN": b"NaN",
    "Infinity": b"Infinity",
    "1e999": b"1e999",
    "lone surrogate": b'"\\ud800"',
    "raw lone surrogate": b'"\xed\xa0\x80"',
    "invalid UTF-8": b'"\xff"',
    "duplicate keys": b'{"a":1,"a":2}',
}
EXOTIC = {  # what an AMQP header can hold, as pika reads it
    "nothing": None,
    "truth": True,
    "int": 1,
    "float": 1.0,
    "decimal": Decimal("1.0"),
    "bytes": b"1.0",
    "array": ["1.0"],
    "table": {"1.0": "1.0"},
    "empty": "",
    "time": datetime(2026, 1, 1, tzinfo=UTC),
    "long": "x" * 129,
    "newline": "1.0\n",
    "control": "1.0\x00",
    "spaces": "1 0",
    "not ASCII": "１",
}


def refusal(headers, body):
    """Why a message is refused."""
    with pytest.raises(Refused) as caught:
        decode(CONTRACT, headers, body)
    return str(caught.value)


@pytest.mark.parametrize("event", EXAMPLES.values(), ids=EXAMPLES)
def test_every_event_comes_back_as_it_was(event):
    """Encoding and decoding lose nothing: neither of the event nor of its envelope."""
    envelope = envelope_for(event)
    assert decode(CONTRACT, *encode(envelope, event, 7)) == (envelope, event)


def test_all_eleven_events_have_an_example():
    assert EXAMPLES.keys() == EVENTS.keys()
    assert len(EVENTS) == 11


@pytest.mark.parametrize("event", EXAMPLES.values(), ids=EXAMPLES)
def test_our_own_bodies_are_canonical(event):
    """What we encode, read and encoded again, is the same bytes: so it needs no second look."""
    headers, body = wire(event)
    assert wire(decode(CONTRACT, headers, body)[1]) == (headers, body)


@pytest.mark.parametrize("event", EXAMPLES.values(), ids=EXAMPLES)
def test_headers_are_cloudevents_attributes(event):
    """CloudEvents 1.0: required attributes are there, names are lower-case letters and digits of
    at most 20 characters, values are text, time is RFC 3339 in UTC."""
    headers, _ = wire(event)
    assert {"ce-specversion", "ce-id", "ce-source", "ce-type"} <= headers.keys()
    assert all(re.fullmatch(r"ce-[a-z0-9]{1,20}", name) for name in headers)
    assert all(isinstance(value, str) and value for value in headers.values())
    assert datetime.fromisoformat(headers["ce-time"]).utcoffset().total_seconds() == 0


@pytest.mark.parametrize("value", BREAKING.values(), ids=BREAKING)
@pytest.mark.parametrize(
    "place",
    [
        b"%s",
        BODY.replace(b"2500", b"%s"),
        BODY.replace(b'"TEA-COSY"', b"%s"),
        BODY[:-1] + b',"unknown":%s}',
        BODY[:-1] + b',"unknown":{"deeper":[%s]}}',
    ],
    ids=["body", "number", "text", "unknown field", "inside an unknown field"],
)
def test_json_that_breaks_naive_readers_is_refused_wherever_it_is(place, value):
    """As the whole body, in a field we read, and in one we would ignore."""
    assert refusal(HEADERS, place % value)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b"1",
        BODY + b"x",
        BODY[:-1],
        b"\xef\xbb\xbf" + BODY,
        BODY.decode().encode("utf-16"),
        BODY.decode().encode("utf-16-le"),
        BODY.decode().encode("utf-32"),
        BODY[:-1] + b',"total":1}',
        bytes(range(256)),
    ],
)
def test_what_is_not_one_utf_8_object_is_refused(body):
    assert refusal(HEADERS, body).startswith("malformed body")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"quantity":2', '"quantity":true'),
        ('"quantity":2', '"quantity":2.5'),
        ('"quantity":2', '"quantity":0'),
        ('"quantity":2', '"quantity":-2'),
        ('"quantity":2', '"quantity":"2"'),
        ('"quantity":2', '"quantity":1000001'),
        ('"quantity":2', '"quantity":null'),
        ('"quantity":2,', ""),
        ('"unit_price":1250', '"unit_price":-1'),
        ('"total":2500', '"total":-1'),
        ("lotte@example.com", "lotte"),
        ("lotte@example.com", "a@b\\n"),
        ("lotte@example.com", "a@b\\r\\nBcc: c@d"),
        ("TEA-COSY", ""),
        ("TEA-COSY", "TEA\\n"),
        ("TEA-COSY", "TEA\\u0000"),
        ("TEA-COSY", "T" * 65),
        ("4242424242424242", "42\\n"),
        ('"lines":[', '"lines":[[],'),
    ],
)
def test_a_field_of_the_wrong_shape_is_refused(old, new):
    """True is no quantity, money and stock are whole and never below zero, and nothing that ends
    up in an e-mail's header can break its line."""
    assert old in BODY.decode()
    assert "$" in refusal(HEADERS, BODY.decode().replace(old, new, 1).encode())


def test_an_order_without_lines_or_with_too_many_is_refused():
    lines = BODY[BODY.index(b'"lines":[') + 9 : -2]
    assert "$.lines" in refusal(HEADERS, BODY.replace(lines, b""))
    assert "$.lines" in refusal(HEADERS, BODY.replace(lines, b",".join([lines] * 1_001)))


def test_a_body_over_the_limit_is_refused_before_it_is_read():
    padded = BODY + b" " * (MAX_BODY - len(BODY))
    assert decode(CONTRACT, HEADERS, padded)[1] == CREATED
    assert "262145 bytes" in refusal(HEADERS, padded + b" ")


def test_fields_we_do_not_know_are_ignored():
    """So that a producer may add one."""
    body = BODY[:-1] + b',"gift":{"wrap":true,"note":"h\\u00e9","price":1.5,"n":[null]}}'
    assert decode(CONTRACT, HEADERS, body)[1] == CREATED


def test_headers_we_do_not_know_are_ignored():
    assert decode(CONTRACT, HEADERS | {"x-death": [{"count": 1}], "ce-new": 1}, BODY)[1] == CREATED


@pytest.mark.parametrize("name", sorted(HEADERS.keys() - {"ce-traceparent", "ce-sequence"}))
@pytest.mark.parametrize("value", EXOTIC.values(), ids=EXOTIC)
def test_a_header_of_a_wrong_kind_is_refused(name, value):
    assert refusal(HEADERS | {name: value}, BODY)


@pytest.mark.parametrize("name", sorted(HEADERS.keys() - {"ce-traceparent", "ce-sequence"}))
def test_a_missing_header_is_refused(name):
    assert refusal({key: value for key, value in HEADERS.items() if key != name}, BODY)


@pytest.mark.parametrize("value", [*EXOTIC.values(), "00-xyz-1-01", f"00-{'A' * 32}-{'b' * 16}-01"])
def test_a_malformed_trace_context_starts_a_new_trace(value):
    """Tracing must never stop an order."""
    fresh, event = decode(CONTRACT, HEADERS | {"ce-traceparent": value}, BODY)
    assert event == CREATED
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", fresh.traceparent)


@pytest.mark.parametrize("headers", [None, {}, {b"ce-id": b"1", "\ud800": 1}])
def test_a_message_without_our_headers_is_refused(headers):
    assert "CloudEvent" in refusal(headers, BODY)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"ce-specversion": "0.3"}, "specversion"),
        ({"ce-type": "order.exploded"}, "unknown event"),
        ({"ce-type": "payment.failed"}, "cannot come from"),
        ({"ce-subject": "1002"}, "ce-subject"),
        ({"ce-source": "/ecom/payment"}, "cannot come from /ecom/payment"),
        ({"ce-time": "yesterday"}, "ce-time"),
        ({"ce-time": "2026-11-05T12:00:00"}, "ce-time"),
        ({"ce-time": "2026-11-05 12:00:00Z"}, "ce-time"),
        ({"ce-time": "20261105T120000Z"}, "ce-time"),
        ({"ce-time": "2026-11-05T12:00:00+0100"}, "ce-time"),
        ({"ce-time": "2026-02-30T12:00:00Z"}, "RFC 3339"),
        ({"ce-time": "2026-11-05T12:00:00+25:00"}, "RFC 3339"),
        ({"ce-time": "0001-01-01T00:00:00+01:00"}, "RFC 3339"),
        ({"ce-time": "2026-11-05T12:00:60Z"}, "leap second"),
        ({"ce-schemaversion": "0"}, "number"),
        ({"ce-schemaversion": "1.5"}, "number"),
    ],
)
def test_an_envelope_that_does_not_fit_is_refused_with_the_reason(changed, reason):
    assert reason in refusal(HEADERS | changed, BODY)


def read_or_refused(headers, body):
    """Nothing but an event or `Refused` comes out."""
    with suppress(Refused):
        _, event = decode(CONTRACT, headers, body)
        assert type(event) is EVENTS[headers["ce-type"]]


mutations = st.lists(
    st.tuples(st.integers(0, len(BODY) - 1), st.integers(0, 4), st.binary(max_size=4)), max_size=4
)


@steady
@given(mutations)
def test_no_mutation_of_a_good_body_raises_anything_else(mutations):
    body = BODY
    for at, cut, insert in mutations:
        body = body[:at] + insert + body[at + cut :]
    read_or_refused(HEADERS, body)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.binary()
    | st.datetimes()
    | st.decimals()
    | st.text()
    | st.sampled_from(sorted(EVENTS)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@steady
@given(st.dictionaries(st.sampled_from(sorted(HEADERS)), values), st.sampled_from(sorted(EVENTS)))
def test_no_header_value_raises_anything_else(changed, type_):
    read_or_refused(wire(EXAMPLES[type_])[0] | changed, wire(EXAMPLES[type_])[1])


@steady
@given(st.binary())
@example(b"\x00")
def test_no_bytes_raise_anything_else(body):
    read_or_refused(HEADERS, body)


def test_derived_ids_are_the_same_again_and_differ_by_name():
    assert derived_id("a", "x") == derived_id("a", "x")
    assert len({derived_id(cause, name) for cause in "ab" for name in "xy"}) == 4


@given(st.floats(0, 2**47 / 1000), st.binary(min_size=9, max_size=9))
def test_the_ids_of_a_saga_begin_with_its_time(now, randomness):
    """So they are neighbours in an index, and come after those of earlier sagas."""
    first = new_id(now, randomness)
    assert (UUID(first).version, UUID(first).variant) == (7, RFC_4122)
    assert int(UUID(first)) >> 80 == int(now * 1000)
    second = derived_id(first, "order.created")
    third = derived_id(second, "inventory.processed")
    assert first[:13] == second[:13] == third[:13]
    assert (UUID(third).version, UUID(third).variant) == (8, RFC_4122)


@pytest.mark.parametrize("cause", ["", "1001", "6ba7b812-9dad-11d1-80b4-00c04fd430c8", "x" * 128])
def test_what_a_foreign_id_leads_to_is_spread_evenly(cause):
    """There is no time in it to be kept, and no reason to trust that there is."""
    ids = [derived_id(cause, str(n)) for n in range(100)]
    assert len({id_[:8] for id_ in ids}) > 95
    assert {UUID(id_).version for id_ in ids} == {8}


def test_the_events_of_a_saga_are_one_trace_and_each_its_own_span():
    """Though their ids begin alike."""
    command = new_id(1_795_000_000.0, bytes(range(9)))
    ids = [derived_id(command, str(n)) for n in range(1_000)]
    contexts = [trace_after("", command, id_).split("-") for id_ in ids]
    assert {trace for _, trace, _, _ in contexts} == {command.replace("-", "")}
    assert len({span for _, _, span, _ in contexts}) == len(ids)


@pytest.mark.parametrize(
    ("said", "in_utc"),
    [
        ("2026-11-05T13:00:00+01:00", "2026-11-05T12:00:00Z"),
        ("2026-11-05T00:30:00.25-05:30", "2026-11-05T06:00:00.250000Z"),
        ("2026-11-05t12:00:00z", "2026-11-05T12:00:00Z"),
        ("2026-11-05T12:00:00-00:00", "2026-11-05T12:00:00Z"),
        ("2026-11-05T12:00:00.123456789Z", "2026-11-05T12:00:00.123456789Z"),
        ("2026-11-05T12:00:00.1Z", "2026-11-05T12:00:00.1Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ("2017-01-01T00:59:60+01:00", "2017-01-01T00:00:00Z"),
    ],
)
def test_a_time_is_whatever_rfc_3339_has(said, in_utc):
    """With an offset, in small letters, of any precision, in a leap second: it is read as UTC."""
    headers, body = wire(EXAMPLES["order.created"])
    envelope, _ = decode(CONTRACT, headers | {"ce-time": said}, body)
    assert envelope.time == in_utc
