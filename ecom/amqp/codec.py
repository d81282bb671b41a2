"""The frames of our own messages, read and written directly: the hot path of AMQP 0-9-1.

pika's codec handles every method, property and type, and takes three times as long: it was a third
of a service's CPU time. What is read here has the one shape that our messages have on the wire (a
Basic.Deliver; a content header with `OURS`, and nothing but text in its table; one body frame), and
anything else is left to pika; whatever we publish is written here. The results are pika's:
tests/unit/test_codec.py compares them.
"""

from functools import lru_cache
from struct import Struct as Layout
from struct import error as LayoutError
from typing import Any

from pika import frame, spec
from pika.data import encode_table

from ecom.runtime.messages import Delivery

OURS = (
    spec.BasicProperties.FLAG_CONTENT_TYPE
    | spec.BasicProperties.FLAG_HEADERS
    | spec.BasicProperties.FLAG_DELIVERY_MODE
    | spec.BasicProperties.FLAG_MESSAGE_ID
    | spec.BasicProperties.FLAG_USER_ID
)

JSON = "application/json"
PERSISTENT = 2

_SHORT_TEXT = b"S\x00\x00\x00"  # a type, and three of four bytes of a length
_END = spec.FRAME_END
_END_BYTE = bytes([_END])
_BASIC, _DELIVER = spec.Basic.INDEX, spec.Basic.Deliver.INDEX
_BEFORE = bytes((len(JSON),)) + JSON.encode()  # the headers
_BETWEEN = bytes((PERSISTENT,))  # the headers and the message's id
_METHOD = Layout(">BHII")  # frame type, channel, size, class and method
_HEADER = Layout(">BHIHHQH")  # frame type, channel, size, class, weight, body size, flags
_FRAME = Layout(">BHI")  # frame type, channel, size
_TAG = Layout(">QB")  # delivery tag, redelivered
_LONG = Layout(">I")
_EDGE = spec.FRAME_HEADER_SIZE + spec.FRAME_END_SIZE

_name = lru_cache(maxsize=1024)(bytes.decode)  # exchanges, keys, users, names of headers: few


class Unsendable(Exception):
    """This message cannot be sent over this connection; the text says why."""


def read_message(data: bytes, at: int, channel: int) -> tuple[int, bytes, Delivery] | None:
    """The message of ours that begins at `at`, after where it ends, and its consumer; None if it is
    another, or not all of it is there. `channel` is the delivery's."""
    try:
        if (extent := _extent(data, at)) is None:
            return None
        header, content, end = extent
        consumer, i = _short(data, at + _METHOD.size)
        tag, redelivered = _TAG.unpack_from(data, i)
        exchange, i = _short(data, i + _TAG.size)
        key, i = _short(data, i)
        headers, user, last = _properties(data, header + _HEADER.size)
        if i != header - 1 or last != content - 1:
            return None
        again = redelivered & 1 == 1
        body = data[content + _FRAME.size : end - 1]
        came = channel, tag, _name(exchange), _name(key)
        return end, consumer, Delivery(*came, headers, body, user, again)
    except (LayoutError, IndexError, ValueError):
        return None


def _extent(data: bytes, at: int) -> tuple[int, int, int] | None:
    """Where the header and the body of the message begin, and where it ends."""
    kind, channel, size, method = _METHOD.unpack_from(data, at)
    if kind != spec.FRAME_METHOD or method != _DELIVER:
        return None
    header = at + size + _EDGE
    kind, same, size, class_, _, length, flags = _HEADER.unpack_from(data, header)
    if kind != spec.FRAME_HEADER or same != channel or class_ != _BASIC or flags != OURS:
        return None
    content = header + size + _EDGE
    kind, same, size = _FRAME.unpack_from(data, content)
    end = content + size + _EDGE
    if kind != spec.FRAME_BODY or same != channel or size != length or end > len(data):
        return None
    if not data[header - 1] == data[content - 1] == data[end - 1] == _END:
        return None
    return header, content, end


def _short(data: bytes, at: int) -> tuple[bytes, int]:
    end = at + 1 + data[at]
    return data[at + 1 : end], end


def _properties(data: bytes, at: int) -> tuple[dict[str, str], str, int]:
    """Headers, user, and where they end. Raises `ValueError` if a header is no text, or long."""
    at += 1 + data[at]  # the content type
    (size,) = _LONG.unpack_from(data, at)
    at += 4
    end = at + size
    layout, begins, names = _shapes.get(size) or _shape(data, at, end)
    parts = layout.unpack_from(data, at)
    if parts[::2] != begins:  # another that is as long
        layout, _, names = _shape(data, at, end)
        parts = layout.unpack_from(data, at)
    headers = dict(zip(names, map(bytes.decode, parts[1::2]), strict=True))
    at = end + 1  # the delivery mode
    at += 1 + data[at]  # the message's id
    user, at = _short(data, at)
    return headers, _name(user), at


# How to read a table at once: its layout, what headers have before their values, their names.
Shape = tuple[Layout, tuple[bytes, ...], list[str]]
_shapes: dict[int, Shape] = {}  # by the table's size: that of the last one that was as long


def _shape(data: bytes, at: int, end: int) -> Shape:
    """The shape of the table between these, known from now on. Raises `ValueError`."""
    begins, layout, size = [], ">", end - at
    while at < end:
        value = at + 6 + data[at]
        begins.append(data[at:value])
        layout += f"{value - at}s{data[value - 1]}s"
        at = value + data[value - 1]
    if at != end or not all(it[:-1].endswith(_SHORT_TEXT) for it in begins):
        raise ValueError
    if len(_shapes) > 1024:
        _shapes.clear()
    names = [it[1:-5].decode() for it in begins]
    shape = _shapes[size] = Layout(layout), tuple(begins), names
    return shape


def write_message(
    channel: int,
    exchange: str,
    key: str,
    headers: dict[str, Any],
    body: bytes,
    id: str,
    user: str,
    most: int,
) -> bytes:
    """The frames that publish this, mandatory and persistent, with `most` bytes in each. Raises
    `Unsendable` if its properties cannot be encoded, or do not fit a frame."""
    try:
        name, table = id.encode(), _table(headers)
        properties = b"".join((_BEFORE, table, _BETWEEN, bytes((len(name),)), name, _brief(user)))
    except Exception as error:
        raise Unsendable(f"its properties cannot be encoded: {error!r}") from error
    if (size := 14 + len(properties)) > most:
        raise Unsendable(f"its headers do not fit a frame of {most} bytes")
    header = _HEADER.pack(spec.FRAME_HEADER, channel, size, _BASIC, 0, len(body), OURS)
    parts = [_publish(channel, exchange, key), header, properties, _END_BYTE]
    for at in range(0, len(body), most):
        piece = body[at : at + most]
        parts += _FRAME.pack(spec.FRAME_BODY, channel, len(piece)), piece, _END_BYTE
    return b"".join(parts)


def _table(headers: dict[str, Any]) -> bytes:
    parts: list[bytes] = []
    try:
        for name, value in headers.items():
            text = value.encode()
            parts += _begin(name, len(text)), text
        table = b"".join(parts)
        return _LONG.pack(len(table)) + table
    except AttributeError:  # no text, but a type of its own
        parts.clear()
        encode_table(parts, headers)
        return b"".join(parts)


@lru_cache(maxsize=1024)
def _begin(name: str, size: int) -> bytes:
    """How a header of text of this size begins."""
    return _brief(name) + b"S" + _LONG.pack(size)


@lru_cache(maxsize=1024)
def _brief(text: str) -> bytes:
    """Text of up to 255 bytes, of which there are few."""
    return bytes((len(text.encode()),)) + text.encode()


@lru_cache(maxsize=1024)
def _publish(channel: int, exchange: str, key: str) -> bytes:
    method = spec.Basic.Publish(exchange=exchange, routing_key=key, mandatory=True)
    return frame.Method(channel, method).marshal()
