"""A pika connection that is fast for our own messages, and survives any message's headers."""

import asyncio
import ssl
import struct
from collections.abc import Callable
from typing import Any

from pika import exceptions, spec
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.adapters.utils.connection_workflow import AMQPConnectorException
from pika.channel import Channel
from pika.frame import Header

from ecom.amqp.codec import read_message, write_message
from ecom.runtime.messages import Delivery

UNREADABLE = "unreadable-headers"  # the header that says why there are no others
# Of the socket, in one call and in one turn of the loop; with pika it is 4,096 and 102,400 bytes.
# What comes in one turn makes one transaction.
READ_AT_ONCE, READ_A_TURN = 262_144, 1_048_576
# What is raised when the broker cannot be reached, refuses, or takes too long to say who it is.
TROUBLE = (exceptions.AMQPError, AMQPConnectorException, OSError)
FORCED, NOT_FOUND = 320, 404  # replies that say nothing about a message: shut down, not declared


def why(error: object) -> str:
    """What is wrong with the broker, in words, and what to do about it if that is known."""
    if isinstance(error, exceptions.ChannelClosedByBroker):
        said = error.reply_text
        if error.reply_code == NOT_FOUND:
            provisioner = "does it run? (python -m ecom.serve provisioner)"
            return f"{said}; the shop's provisioner declares it: {provisioner}"
        if "inequivalent arg" in said:
            made = "it was made otherwise, perhaps by another release, and may hold orders"
            return f"{said}; {made}: leave it, and use another vhost or name for the shop"
        if "acknowledgement" in said:
            late = "a message was in hand for longer than this broker's consumer_timeout allows"
            return f"{said}; {late}, and is delivered again"
    if (reason := _untrusted(error)) is not None:
        return (
            f"its certificate is not trusted: {reason.rstrip('.')}; ECOM_AMQP_CA names the PEM "
            "file of the authority that must have signed it, for the host in the URL"
        )
    return repr(error)


def is_refusal(error: object) -> bool:
    """Whether the broker closed a channel or connection for what was sent over it."""
    closed = exceptions.ChannelClosedByBroker | exceptions.ConnectionClosedByBroker
    return isinstance(error, closed) and error.reply_code not in (FORCED, NOT_FOUND)


def _untrusted(error: object) -> str | None:
    """Why a certificate was refused, if that is it: pika wraps its exceptions in others."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    several = (*getattr(error, "args", ()), *getattr(error, "exceptions", ()))
    inner = (*several, getattr(error, "exception", None))
    found = (_untrusted(each) for each in inner if isinstance(each, BaseException))
    return next((said for said in found if said is not None), None)


OnMessage = Callable[[Delivery], None]


class Connection(AsyncioConnection):
    """Frames that are written together are sent together: pika would make a system call for each
    of a message's three frames, where one a batch is enough. It reads more at once, too, and our
    own messages go past pika's codec (see `ecom.amqp.codec`), which no other module depends on.

    A message whose headers pika cannot decode (a date after the year 9999, a table nested ten
    thousand deep, …) is delivered without them: else it would end every connection it arrives on.
    """

    _corked: list[bytes] | None = None
    # Whose messages go past pika's codec, and what is their deliveries' channel.
    _consumer: tuple[bytes, OnMessage, int] | None = None

    def consume(self, channel: Channel, queue: str, on_message: OnMessage, epoch: int = 0) -> str:
        """Give the queue's messages to `on_message`, with this `epoch` as their channel, and no
        more to an earlier consumer, which the caller cancels; returns the consumer's tag."""
        tag: str = channel.basic_consume(queue, lambda _, *it: on_message(from_pika(epoch, *it)))
        self._consumer = tag.encode(), on_message, epoch
        return tag

    def publish(
        self, channel: Channel, exchange: str, key: str, headers: dict, body: bytes, id: str
    ) -> None:
        """Publish a message of ours: JSON, persistent, mandatory, with the connection's user id.
        Raises `Unsendable`, or pika's error if the channel is closed."""
        if not channel.is_open:
            raise exceptions.ChannelWrongStateError("Channel is closed.")
        number, user = channel.channel_number, self.params.credentials.username
        most = self._body_max_length
        frames = write_message(number, exchange, key, headers, body, id, user, most)
        self._output_marshaled_frames([frames])

    def abort(self) -> None:
        """End at once, without a word to the broker; harmless to repeat."""
        if not self.is_closed and self._transport is not None:
            self._transport.abort()

    def _proto_connection_made(self, transport: Any) -> None:
        transport._MAX_RECV_BYTES, transport._MAX_CONSUME_BYTES = READ_AT_ONCE, READ_A_TURN
        super()._proto_connection_made(transport)

    def _on_data_available(self, data_in: bytes) -> None:
        """As pika does it, but for our messages in between."""
        self._frame_buffer += data_in
        while self._frame_buffer:
            if self._consumer is not None:
                self._trim_frame_buffer(self._take(self._frame_buffer))
            size, frame = self._read_frame()
            if not frame:
                return
            self._trim_frame_buffer(size)
            self._process_frame(frame)

    def _take(self, data: bytes) -> int:
        """Hand on the messages that `data` begins with; where they end."""
        at, (consumer, on_message, epoch) = 0, self._consumer
        while (found := read_message(data, at, epoch)) is not None and found[1] == consumer:
            at, _, message = found
            on_message(message)
            consumer, on_message, epoch = self._consumer
        return at

    def _adapter_emit_data(self, data: bytes) -> None:
        if self._corked is None:
            self._corked = []
            asyncio.get_running_loop().call_soon(self._uncork)
        self._corked.append(data)

    def _uncork(self) -> None:
        frames, self._corked = self._corked, None
        if self._transport is not None:
            super()._adapter_emit_data(b"".join(frames))
            self._transport._on_socket_writable()  # now: there is nearly always room

    def _read_frame(self) -> tuple[int, Any]:
        try:
            return super()._read_frame()
        except exceptions.InvalidFrameError:
            raise
        except Exception as error:
            return _without_headers(self._frame_buffer, error)


def from_pika(epoch: int, method: Any, properties: Any, body: bytes) -> Delivery:
    """A message as pika reads it, which leaves as bytes the names that are not UTF-8."""
    names = method.exchange, method.routing_key, properties.user_id
    exchange, key, user = (
        name.decode(errors="backslashreplace") if isinstance(name, bytes) else name
        for name in names
    )
    came, again = (epoch, method.delivery_tag, exchange, key), method.redelivered
    return Delivery(*came, properties.headers, body, user, again)


def _without_headers(data: bytes, error: Exception) -> tuple[int, Header]:
    """The length of the content header that begins `data`, and a header in its place."""
    kind, channel, size = struct.unpack_from(">BHL", data)
    if kind != spec.FRAME_HEADER:
        raise error
    (body_size,) = struct.unpack_from(">Q", data, spec.FRAME_HEADER_SIZE + 4)
    headers = {UNREADABLE: f"{type(error).__name__}: {error}"}
    length = spec.FRAME_HEADER_SIZE + size + spec.FRAME_END_SIZE
    return length, Header(channel, body_size, spec.BasicProperties(headers=headers))
