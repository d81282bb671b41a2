"""The short way through AMQP says what pika says, or nothing at all."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import frame, spec
from pika.compat import as_bytes

from ecom.amqp.codec import Unsendable, read_message, write_message
from ecom.amqp.connection import Connection
from ecom.runtime.messages import Delivery

TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
NAME = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=30)
SHORT = st.text(st.characters(codec="utf-8"), max_size=20)
HEADERS = st.dictionaries(NAME, TEXT | st.text(min_size=1, max_size=400), max_size=12)
ANY_HEADERS = st.dictionaries(NAME, TEXT | st.integers(-5, 5) | st.booleans() | st.none())
MOST = 2_048  # bytes in a frame
BODY = st.binary(min_size=1, max_size=300)
LONG = st.builds(bytes.__mul__, BODY, st.integers(0, 30))


def properties(headers, id_, user):
    return spec.BasicProperties(
        content_type="application/json",
        headers=headers,
        delivery_mode=2,
        message_id=id_,
        user_id=user,
    )


def marshalled(method, properties, body):
    header = frame.Header(1, len(body), properties).marshal()
    pieces = (body[at : at + MOST] for at in range(0, len(body), MOST))
    content = b"".join(frame.Body(1, piece).marshal() for piece in pieces)
    return frame.Method(1, method).marshal() + header + content


def delivered(
    headers,
    body,
    *,
    tag=7,
    redelivered=False,
    exchange="shop.events",
    key="a.b",
    id_="id",
    user="shop.order",
):
    method = spec.Basic.Deliver("ctag1.x", tag, redelivered, exchange, key)
    return marshalled(method, properties(headers, id_, user), body)


def as_pika_reads(data):
    """The message that `data` begins with, by pika's own codec."""
    frames, at = [], 0
    for _ in range(3):
        size, found = frame.decode_frame(data[at:])
        at += size
        frames.append(found)
    method, header, body = frames
    assert header.body_size == len(body.fragment)
    it, props = method.method, header.properties
    message = Delivery(
        3,
        it.delivery_tag,
        it.exchange,
        it.routing_key,
        props.headers,
        body.fragment,
        props.user_id,
        it.redelivered,
    )
    return at, as_bytes(it.consumer_tag), message


@given(HEADERS | ANY_HEADERS, LONG, SHORT, SHORT, SHORT, SHORT)
def test_a_message_is_written_as_pika_writes_it(headers, body, exchange, key, id_, user):
    """Byte for byte: numbers and the like by types of their own, a long body in several frames."""
    method = spec.Basic.Publish(exchange=exchange, routing_key=key, mandatory=True)
    expected = marshalled(method, properties(headers, id_, user), body)
    if len(frame.Header(1, 0, properties(headers, id_, user)).marshal()) > MOST + 8:
        with pytest.raises(Unsendable, match="do not fit a frame"):
            write_message(1, exchange, key, headers, body, id_, user, MOST)
    else:
        assert write_message(1, exchange, key, headers, body, id_, user, MOST) == expected


@pytest.mark.parametrize(
    "headers", [{"x" * 300: "y"}, {"x": "\ud800"}, {"x": ["\ud800"]}, {"x": {1}}]
)
def test_what_has_no_form_on_the_wire_is_not_sent(headers):
    """Nor does it end anything: it is said of this message alone."""
    with pytest.raises(Unsendable, match="cannot be encoded"):
        write_message(1, "shop.dead", "order", headers, b"{}", "id", "shop.order", MOST)


@given(HEADERS, BODY, st.integers(1, 2**63), st.booleans(), SHORT, SHORT, SHORT, SHORT, BODY)
def test_a_message_is_read_as_pika_reads_it(
    headers, body, tag, redelivered, exchange, key, id_, user, more
):
    """And what follows it is left alone. Long text is pika's to read."""
    data = delivered(
        headers,
        body,
        tag=tag,
        redelivered=redelivered,
        exchange=exchange,
        key=key,
        id_=id_,
        user=user,
    )
    found = read_message(more + data + more, len(more), 3)
    if all(len(each.encode()) < 256 for each in headers.values()):
        assert found == (len(more) + len(data), *as_pika_reads(data)[1:])
    else:
        assert found is None


@given(st.lists(st.permutations(["a", "bc", "def", "é"]), min_size=4, max_size=4), BODY)
def test_messages_that_are_as_long_are_told_apart(orders, body):
    """The same names or others, the same lengths of values or others: none is read as another."""
    for names, values in pairwise(orders):
        data = delivered(dict(zip(names, values, strict=True)), body)
        assert read_message(data, 0, 3) == as_pika_reads(data)


@given(HEADERS, BODY, st.data())
def test_a_message_that_is_not_all_there_is_not_read(headers, body, data):
    """However far it has come."""
    whole = delivered(headers, body)
    assert read_message(whole[: data.draw(st.integers(0, len(whole) - 1))], 0, 3) is None


@given(HEADERS, BODY, st.data())
def test_a_damaged_message_is_read_as_pika_reads_it_or_not_at_all(headers, body, data):
    """A few bytes changed anywhere: never an exception, never something else than pika's answer."""
    whole = bytearray(delivered(headers, body))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    found = read_message(bytes(whole), 0, 3)
    if found is not None:
        assert found == as_pika_reads(bytes(whole))


@given(ANY_HEADERS.filter(lambda headers: not all(isinstance(it, str) for it in headers.values())))
def test_a_message_with_other_headers_is_left_to_pika(headers):
    """As the broker's own `x-delivery-count`, a number, in what it delivers again."""
    assert read_message(delivered(headers, b"{}"), 0, 3) is None


def test_what_is_no_message_of_ours_is_left_to_pika():
    """Other properties, no body, a body in two frames, another method, another frame."""
    deliver = spec.Basic.Deliver("ctag1.x", 7, False, "shop.events", "a.b")
    ours = properties({}, "id", "shop.order")
    header = frame.Header(1, 4, ours).marshal()
    halves = frame.Body(1, b"ab").marshal() * 2
    returned = spec.Basic.Return(312, "NO_ROUTE", "shop.events", "a.b")
    for data in (
        marshalled(deliver, spec.BasicProperties(user_id="shop.order"), b"{}"),
        marshalled(deliver, properties({}, None, "shop.order"), b"{}"),
        marshalled(deliver, ours, b""),
        frame.Method(1, deliver).marshal() + header + halves,
        marshalled(returned, ours, b"{}"),
        frame.Heartbeat().marshal(),
        b"",
    ):
        assert read_message(data, 0, 3) is None
    assert read_message(marshalled(deliver, ours, b"{}"), 0, 3) is not None


class Line(Connection):
    """A connection without a socket: what it hears by the short way, and what pika is left with."""

    def __init__(self):
        self._frame_buffer, self.bytes_received = b"", 0
        self.heard, self.frames = [], []
        self._consumer = b"ctag1.x", self.heard.append, 3

    def _process_frame(self, found):
        self.frames.append(found)


@given(st.lists(st.tuples(HEADERS, BODY), min_size=1, max_size=5), st.data())
def test_messages_arrive_whole_and_in_order_however_they_are_cut(messages, data):
    """By either way, each byte once; and what comes in one piece comes by the short one."""
    whole = b""
    for tag, (headers, body) in enumerate(messages, 1):
        short = {name: text[:60] for name, text in headers.items()}
        whole += delivered(short, body, tag=tag)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(whole) - 1), max_size=6)))
    line = Line()
    for start, end in pairwise([0, *cuts, len(whole)]):
        line._on_data_available(whole[start:end])
    assert line.bytes_received == len(whole)
    methods = [it.method.delivery_tag for it in line.frames if isinstance(it, frame.Method)]
    assert sorted([*methods, *(it.tag for it in line.heard)]) == list(range(1, len(messages) + 1))
    assert [it.body for it in line.heard] == [messages[it.tag - 1][1] for it in line.heard]
    assert len(methods) <= len(cuts)
    assert methods == sorted(methods)


def test_another_consumers_messages_are_left_to_pika():
    """As those on their way to one that was cancelled: pika rejects them."""
    line = Line()
    line._consumer = b"ctag2.x", line.heard.append, 3
    line._on_data_available(delivered({}, b"{}"))
    assert len(line.frames) == 3
    assert not line.heard
