"""Connecting with pika, mended: fast for our own messages, and no message that it cannot read."""

import asyncio
import os
import ssl
import struct
from collections.abc import Callable
from typing import Any

from pika import SSLOptions, URLParameters, spec
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.exceptions import AMQPError, ChannelClosedByBroker, InvalidFrameError
from pika.frame import Header

from ecom.amqp.codec import Delivered, read_message
from ecom.errors import ShopError

HEARTBEAT = 30  # seconds; a peer that is silent for two of these is gone
BLOCKED_SECONDS = 300  # how long an alarm may block us before we connect anew
UNREADABLE = "unreadable-headers"  # the header that says why there are no others
# Of the socket, in one call and in one turn of the loop; with pika it is 4,096 and 102,400 bytes.
# What comes in one turn makes one transaction.
READ_AT_ONCE, READ_A_TURN = 262_144, 1_048_576
TROUBLE = (AMQPError, OSError)  # what is raised when the broker is not to be had, or refuses


def parameters(url: str) -> URLParameters:
    """Connection parameters for an AMQP URL, with the settings that pika leaves unset.

    For `amqps://…` the broker's certificate must be good, and for this host: signed by the
    authority in the PEM file `ECOM_AMQP_CA`, if set, or else by one that the system trusts. Where
    the broker asks for a certificate, too, `ECOM_AMQP_CERT` and `ECOM_AMQP_KEY` name ours. Raises
    `ShopError` for files that cannot be read.
    """
    result = URLParameters(url)
    if result.heartbeat is None:  # the URL may say `?heartbeat=…`
        result.heartbeat = HEARTBEAT
    result.blocked_connection_timeout = BLOCKED_SECONDS
    result.socket_timeout = result.stack_timeout = 10
    if result.ssl_options is not None:
        result.ssl_options = SSLOptions(_certificates(), server_hostname=result.host)
    return result


def _certificates() -> ssl.SSLContext:
    """Whom we trust, and who we are."""
    env = os.environ
    try:
        context = ssl.create_default_context(cafile=env.get("ECOM_AMQP_CA") or None)
        if ours := env.get("ECOM_AMQP_CERT"):
            context.load_cert_chain(ours, env.get("ECOM_AMQP_KEY") or None)
    except OSError as error:
        raise ShopError(
            f"ECOM_AMQP_CA, and ECOM_AMQP_CERT with ECOM_AMQP_KEY, must name PEM files: {error}."
        ) from error
    return context


def why(error: object) -> str:
    """What is wrong with the broker, in words; what to do, where we know."""
    if isinstance(error, ChannelClosedByBroker) and error.reply_code == 404:
        return (f"{error.reply_text}; the shop's provisioner declares it: does it run? "
                "(python -m ecom.serve provisioner)")  # fmt: skip
    if isinstance(error, ChannelClosedByBroker) and error.reply_code == 406:
        return (f"{error.reply_text}; somebody made it otherwise, an earlier version perhaps: "
                "delete it, once it is empty")  # fmt: skip
    if (said := _untrusted(error)) is not None:
        return (
            f"its certificate is not trusted: {said.rstrip('.')}; ECOM_AMQP_CA names the PEM file "
            "of the authority that must have signed it, for the host in the URL"
        )
    return repr(error)


def _untrusted(error: object) -> str | None:
    """Why a certificate was refused, if that is it: pika wraps its exceptions in others."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    inner = (*getattr(error, "args", ()), *getattr(error, "exceptions", ()),
             getattr(error, "exception", None))  # fmt: skip
    found = (_untrusted(each) for each in inner if isinstance(each, BaseException))
    return next((said for said in found if said is not None), None)


class Connection(AsyncioConnection):
    """Frames that are written together are sent together: pika would make a system call for each
    of a message's three frames, where one a batch is enough. It reads more at once, too, and our
    own messages take the short way of `ecom.amqp.codec`.

    And a message whose headers pika cannot decode (a date after the year 9999, a table nested ten
    thousand deep, …) arrives without them: else it would end each connection that it comes by.
    """

    _corked: list[bytes] | None = None
    _consumer: bytes | None = None  # whose messages go the short way

    def hear(self, consumer: str, heard: Callable[[Delivered], None]) -> None:
        """From now on, give this consumer's messages to `heard`, as far as `ecom.amqp.codec` can
        read them; pika gives the others to the consumer's callback."""
        self._consumer = consumer.encode()
        self._heard = heard

    def send(self, frames: bytes) -> None:
        """Send frames that are made already."""
        self._output_marshaled_frames([frames])

    def fits(self, body: bytes) -> bool:
        """Whether `body` makes exactly one frame."""
        return 0 < len(body) <= self._body_max_length

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
        """Hear the messages that `data` begins with; where they end."""
        at = 0
        while (found := read_message(data, at)) is not None and found.consumer == self._consumer:
            at = found.end
            self._heard(found)
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
        except InvalidFrameError:
            raise
        except Exception as error:
            return _without_headers(self._frame_buffer, error)


def text(name: str | bytes) -> str:
    """A name off the wire: pika leaves as bytes what is not UTF-8."""
    return name if isinstance(name, str) else name.decode(errors="backslashreplace")


def _without_headers(data: bytes, error: Exception) -> tuple[int, Header]:
    """How long the content header is that begins `data`, and what can be said of it."""
    kind, channel, size = struct.unpack_from(">BHL", data)
    if kind != spec.FRAME_HEADER:
        raise error
    (body_size,) = struct.unpack_from(">Q", data, spec.FRAME_HEADER_SIZE + 4)
    headers = {UNREADABLE: f"{type(error).__name__}: {error}"}
    length = spec.FRAME_HEADER_SIZE + size + spec.FRAME_END_SIZE
    return length, Header(channel, body_size, spec.BasicProperties(headers=headers))
