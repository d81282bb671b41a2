"""One session with the broker: consuming, and publishing with confirms, until a connection is lost.

Two connections: the broker blocks publishing ones when it is short of memory or disk, and a
consumer sharing one would be blocked with it.
"""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import takewhile
from typing import Any

import pika
from pika.channel import Channel

from ecom.amqp.codec import Unsendable
from ecom.amqp.connection import Connection, is_refusal
from ecom.contract import topology
from ecom.runtime.messages import Announce, Confirmed, Delivery, Rejected
from ecom.runtime.tables import Outbox

PREFETCH = 1_000  # messages in hand, at most
# How long acks wait: each is a write to the broker's one log, which delays events.
ACK_SECONDS = 0.02
DEATHS = "x-delivery-count"  # the header in which the broker says how often a message came back
GOODBYE_SECONDS = 1.0  # how long closing may take
ANSWER_SECONDS = 20.0  # how long the broker may take to confirm, or to answer, unless it blocks us
SILENCE = 2  # messages to ourselves without an echo, after which our consumer counts as dead

Put = Callable[[Any], None]  # is given inputs of the runtime

log = logging.getLogger("ecom.bus")


class Session:
    """Both connections, from opening them until either is lost."""

    def __init__(
        self, shop: str, service: str, epoch: int, put: Put, one_by_one: bool = False
    ) -> None:
        self._service, self._epoch, self._put = service, epoch, put
        self._queue = topology.queue(shop, service)
        self._events, self._dead = topology.exchange(shop), topology.dead_exchange(shop)
        self._connections: list[Connection] = []
        # Delivery tag, ascending: seq, message id.
        self._unconfirmed: dict[int, tuple[int, str]] = {}
        self._returned: Counter[str] = Counter()  # by message id, until their confirms come
        self._published = 0
        self._oldest, self._since = 0, 0.0  # first unconfirmed tag; when a check saw it first
        self._is_blocked = False  # whether the broker takes nothing now, and has said so
        self._one_by_one = one_by_one  # publish each row only when the one before is confirmed
        self._waiting: deque[Outbox] = deque()  # rows that wait for that
        self._is_refused = False  # whether the broker closed our channel for what we published
        self.proven = False  # whether anything was confirmed
        # Tags of the last delivery, now and at the last check, and of the last ack.
        self._delivered = self._delivered_before = self._acked = 0
        self._to_ack: int | None = None  # the tag that waits to be acknowledged
        # Messages to ourselves in a row that did not come; the first check comes before any.
        self._silence = -1
        self._consumers = 1  # of our queue, as far as we know
        self.ended: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

    async def open(self, parameters: pika.URLParameters) -> None:
        """Connect and consume. Raises pika's errors, also if our queue is not there."""
        self._out = await self._connect(parameters)
        self._in = await self._connect(parameters)
        publishing = self._out.connection
        publishing.add_on_connection_blocked_callback(lambda *_: self._block(True))
        publishing.add_on_connection_unblocked_callback(lambda *_: self._block(False))
        siblings = await self._count()
        self._is_alone, self._consumers = siblings == 0, siblings + 1
        self._out.add_on_return_callback(self._on_return)
        await self._call(
            lambda callback: self._out.confirm_delivery(self._on_confirm, callback=callback)
        )
        # After a second crash, messages are consumed one at a time until one is delivered that was
        # not in hand at two: the broker counts a crash against every message in hand, and only the
        # message that kills the process may reach the delivery limit. What is first in the queue
        # has been in hand as often as all behind it, unless siblings had these.
        await self._call(self._in.basic_qos, prefetch_count=1)
        self._careful = True
        self._listen()

    async def check_queue(self) -> None:
        """End the session if our queue delivers no more, or the broker owes us an answer for too
        long: the next one starts afresh. If the queue is gone, that ends the session by itself.

        A channel may hang within the broker, or one confirm get lost there, while its connection
        lives: the row would wait for ever, and so would all behind it that leave one by one.

        A queue that is deleted and declared again may keep a consumer that receives nothing (seen
        with RabbitMQ 3.10). So the session publishes messages to itself, echoes, one for each
        consumer: the queue gives every consumer its turn, and one that receives nothing, not even
        its siblings' echoes, is deaf. To suspect a live one costs it a reconnect, and nothing while
        messages are in hand: ending would count against their delivery limit. How many consumers
        there are is no proof: of a queue that takes over 250 ms to answer, RabbitMQ says none.
        """
        if self._is_blocked:
            return  # until that ends, or has lasted too long for pika
        if self._is_late():
            self._end(ConnectionError("the broker confirms nothing"))
        self._consumers = await self._count() or self._consumers
        silent = self._delivered == self._delivered_before == self._acked
        self._silence = self._silence + 1 if silent else 0
        self._delivered_before = self._delivered
        if self._silence == SILENCE:
            self._end(ConnectionError("our queue has gone silent"))
        for _ in range(self._consumers):
            self.announce(Announce(topology.echo(self._service), b""))

    def _is_late(self) -> bool:
        """Whether what is unconfirmed the longest has been so at earlier checks, for too long."""
        now, tag = time.monotonic(), next(iter(self._unconfirmed), 0)
        if tag != self._oldest:
            self._oldest, self._since = tag, now
        return tag > 0 and now - self._since > ANSWER_SECONDS

    def _block(self, is_blocked: bool) -> None:
        """The broker takes nothing from us from now on, or takes everything again."""
        self._is_blocked, self._oldest = is_blocked, 0

    async def _count(self) -> int:
        """How many consumers our queue is said to have. A passive declare needs no right, but the
        queue must exist: otherwise the broker closes the channel, which ends the session."""
        found = await self._call(self._out.queue_declare, queue=self._queue, passive=True)
        return found.method.consumer_count

    async def _call(self, method: Callable, is_timed: bool = True, **options: Any) -> Any:
        """Call a pika method that takes a callback, and wait for that, or for the session's end,
        which comes if there is no answer in time."""
        seconds = ANSWER_SECONDS if is_timed else None
        done = asyncio.get_running_loop().create_future()
        method(callback=lambda *frames: done.done() or done.set_result(frames[0]), **options)
        ends = {done, self.ended}
        await asyncio.wait(ends, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if not done.done():
            error = ConnectionError("the broker does not answer")
            if not self._is_blocked:
                self._end(error)
            raise self.ended.result() if self.ended.done() else error
        return done.result()

    async def _connect(self, parameters: pika.URLParameters) -> Channel:
        """A channel on a connection of its own."""

        def begin(callback: Callable) -> None:
            lost = self._on_close
            self._connections.append(Connection(parameters, callback, lost, lost))

        connection = await self._call(begin, is_timed=False)  # pika gives up by itself
        channel = await self._call(lambda callback: connection.channel(on_open_callback=callback))
        channel.add_on_close_callback(self._on_close)
        channel.add_on_cancel_callback(lambda _: self._end(ConnectionError("our queue is gone")))
        return channel

    def _on_close(self, closed: Channel | Connection, error: Exception) -> None:
        if closed is getattr(self, "_out", None) and is_refusal(error):
            self._is_refused = True
        self._end(error)

    @property
    def suspects(self) -> list[int]:
        """The rows of which one made the broker end this session, if that is why it ended: those
        that were published and not confirmed."""
        return [seq for seq, _ in self._unconfirmed.values()] if self._is_refused else []

    def _end(self, error: Exception) -> None:
        if not self.ended.done():
            self.ended.set_result(error)

    async def close(self) -> None:
        """Close the connections; returns when the last bytes, perhaps an ack, have been sent, or
        the broker has had its time to say goodbye."""
        self._ack()
        self._end(ConnectionError("closed"))
        for connection in self._connections:
            if connection.is_open:
                connection.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_SECONDS):
                while not all(connection.is_closed for connection in self._connections):
                    await asyncio.sleep(0.005)
        for connection in self._connections:
            connection.abort()

    def publish(self, row: Outbox) -> None:
        if self._one_by_one and self._unconfirmed:
            self._waiting.append(row)
            return
        if row.exchange == "dead":
            exchange, key = self._dead, self._service
            message_id = str(row.seq)  # several may be of one event, and a return must name its row
        else:
            exchange, key, message_id = self._events, row.type, row.id or str(row.seq)
        try:
            connection = self._out.connection
            connection.publish(self._out, exchange, key, row.headers, row.body, message_id)
        except Unsendable as error:
            self._put(Rejected([row.seq], str(error)))
            return
        except pika.exceptions.AMQPError as error:
            self._end(error)
            return
        self._published += 1
        self._unconfirmed[self._published] = row.seq, message_id

    def announce(self, output: Announce) -> None:
        try:
            user = self._out.connection.params.credentials.username
            ours = pika.BasicProperties(user_id=user)
            self._out.basic_publish(self._events, output.key, output.body, ours)
            self._published += 1  # it will be confirmed like the others
        except pika.exceptions.AMQPError as error:
            self._end(error)

    def ack(self, tag: int) -> None:
        """Acknowledge all up to `tag`, a little later: events published in the same step go to the
        broker's disk first, and one ack covers several batches. Without delay when much of the
        prefetch is used up, as then few more are delivered."""
        hurry = self._careful or tag - self._acked > PREFETCH // 4
        if self._to_ack is None or hurry:
            asyncio.get_running_loop().call_later(0.0 if hurry else ACK_SECONDS, self._ack)
        self._to_ack = tag

    def _ack(self) -> None:
        tag, self._to_ack = self._to_ack, None
        try:
            if tag is not None:
                self._in.basic_ack(tag, multiple=True)
                self._acked = tag
        except pika.exceptions.AMQPError as error:
            self._end(error)

    def _on_message(self, it: Delivery) -> None:
        self._delivered = it.tag
        self._put(it)
        deaths = (it.headers or {}).get(DEATHS) if it.redelivered else 0
        if self._careful and (deaths == 0 or (deaths == 1 and self._is_alone)):
            self._careful = False
            # The tags stay valid; the old consumer is cancelled, with its limit of one message.
            self._in.basic_cancel(self._consumer)
            self._in.basic_qos(prefetch_count=PREFETCH)
            self._listen()

    def _listen(self) -> None:
        """Consume our queue."""
        what = self._in, self._queue, self._on_message, self._epoch
        self._consumer = self._in.connection.consume(*what)

    def _on_return(self, channel: Channel, method: Any, properties: Any, body: bytes) -> None:
        log.warning("Returned: no queue is bound for %s", method.routing_key)
        self._returned[properties.message_id] += 1

    def _on_confirm(self, frame: Any) -> None:
        """A publish is confirmed, or refused; a return always comes before its confirm."""
        taken = frame.method.NAME == "Basic.Ack"
        sent, unsent = [], []
        for seq, message_id in self._settled(frame.method):
            returned = self._returned[message_id] if self._returned else 0
            (sent if taken and not returned else unsent).append(seq)
            if returned:
                self._returned += Counter({message_id: -1})
        if sent:
            self._put(Confirmed(sent))
        if unsent:
            self._put(Rejected(unsent))
        self.proven = True
        if self._one_by_one and (sent or unsent):
            while self._waiting and not self._unconfirmed:
                self.publish(self._waiting.popleft())
            self._one_by_one = bool(self._unconfirmed)

    def _settled(self, method: Any) -> Iterator[tuple[int, str]]:
        """What one confirm is about: one message, or all up to it. They may overtake others."""
        tags, last = [method.delivery_tag], method.delivery_tag
        if method.multiple:
            tags = list(takewhile(lambda tag: tag <= last, self._unconfirmed))
        for tag in tags:
            if (found := self._unconfirmed.pop(tag, None)) is not None:
                yield found
