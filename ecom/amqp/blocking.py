"""Queues read by an operator: without taking anything, or one message after the other.

To look is to fetch every message, unacknowledged, and to close the channel: then the broker puts
them back, slice by slice in order (after a `nack`, RabbitMQ 3.10 shuffles them). If a process dies
while it looks, or after a replay and before its ack, the broker does the same: no message is lost,
and the inbox absorbs one that was sent twice.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker, ProbableAccessDeniedError, UnroutableError

from ecom.amqp.address import parameters
from ecom.amqp.codec import JSON, PERSISTENT
from ecom.amqp.connection import TROUBLE, from_pika, why
from ecom.errors import ShopError
from ecom.runtime.messages import Delivery

SLICE = 2_000  # messages fetched at once: with many more, a small broker runs out of memory
PATIENCE = 5.0  # seconds to wait for messages that the broker has, or for another operator
Held = tuple[Delivery, Callable[[], None]]  # one in hand, and what removes it from its queue


class Operator:
    """Looks into queues and puts messages into them, for a person who waits. Use `operator`."""

    def __init__(
        self, user: str, reading: pika.BlockingConnection, sending: pika.BlockingConnection
    ) -> None:
        # Two connections: else messages would flood in while we wait for a confirm.
        self._reading, self._sending = reading, sending
        self.user = user
        self._control = reading.channel()
        self._out = sending.channel()
        self._out.confirm_delivery()

    def look(self, queue: str) -> Iterator[Held]:
        """What lay in the queue at the call, streamed; what is not removed lies there again."""
        ready, removed, channel = self._ready(queue), list[int](), self._reading.channel()

        def remove(tag: int) -> None:
            channel.basic_ack(tag)
            removed.append(tag)

        try:
            with channel:  # closed, it gives back what is not acknowledged
                for message in _messages(channel, queue, ready, removed):
                    yield message, partial(remove, message.tag)
                    self._sending.process_data_events(0)  # or its heartbeats would go unanswered
        finally:
            deadline = time.monotonic() + PATIENCE  # the broker has them back soon
            while self._control.is_open and self._said(queue) < ready - len(removed):
                if time.monotonic() > deadline:
                    break
                time.sleep(0.002)

    def send(self, queue: str, headers: dict[str, Any], body: bytes) -> None:
        """Put a message into the queue; returns when the broker has confirmed it. Raises
        `ShopError` if there is no such queue."""
        properties = pika.BasicProperties(
            content_type=JSON, headers=headers, delivery_mode=PERSISTENT, user_id=self.user
        )
        try:
            self._out.basic_publish("", queue, body, properties, mandatory=True)
        except UnroutableError as error:
            raise ShopError(f"The broker has no queue {queue}: open the shop first.") from error

    def _ready(self, queue: str) -> int:
        """How many messages lie there. Of a queue that takes over 250 ms to answer, RabbitMQ says
        none: it is empty if it has none to give, either."""
        if ready := self._said(queue):
            return ready
        with self._reading.channel() as channel:  # closed, it gives back what it was given
            first = channel.basic_get(queue)[0]
            return first.message_count + 1 if first else 0

    def _said(self, queue: str) -> int:
        return self._control.queue_declare(queue, passive=True).method.message_count


@contextmanager
def operator(amqp_url: str, lock: str) -> Iterator[Operator]:
    """Connect as the one operator under this name. Raises `ShopError`.

    While one operator has messages in hand, another would find only some of them. So an
    exclusive queue of that name serves as a lock: the broker deletes it with its connection.
    """
    try:
        where = parameters(amqp_url)
        with pika.BlockingConnection(where) as reading, pika.BlockingConnection(where) as sending:
            _lock(reading, lock)
            yield Operator(where[0].credentials.username, reading, sending)
    except (ChannelClosedByBroker, ProbableAccessDeniedError) as error:
        said = getattr(error, "reply_text", "there is no such vhost")
        raise ShopError(f"The broker refused: {said}. Open the shop first.") from error
    except TROUBLE as error:
        raise ShopError(f"The broker cannot be reached ({why(error)}); nothing is lost.") from error


def _lock(connection: pika.BlockingConnection, name: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            connection.channel().queue_declare(name, exclusive=True)
            return
        except ChannelClosedByBroker as error:
            if error.reply_code != 405:  # resource locked
                raise
            if time.monotonic() > deadline:
                raise ShopError(
                    "Somebody else has these messages in hand just now: try again later."
                ) from error
            time.sleep(0.05)


def _messages(
    channel: BlockingChannel, queue: str, count: int, removed: list[int]
) -> Iterator[Delivery]:
    """Up to `count` messages, unacknowledged: fewer if somebody else takes them."""
    allowed, arrived = 0, deque[Delivery]()
    for taken in range(count):
        if taken - len(removed) == allowed:
            share = min(SLICE, count - taken)
            allowed += share
            # Another consumer, as each may hold so many and a limit cannot be raised later.
            channel.basic_qos(prefetch_count=share)
            channel.basic_consume(queue, lambda _, *it: arrived.append(from_pika(0, *it)))
        deadline = time.monotonic() + PATIENCE
        while not arrived and time.monotonic() < deadline:
            channel.connection.process_data_events(time_limit=0.1)
        if not arrived:
            return
        yield arrived.popleft()
