"""A service's connection to the broker: opened, and opened again, for as long as it runs.

Only this module and `ecom.amqp` use pika. Whatever happens becomes an input of the runtime.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import cycle
from typing import Any

import pika

from ecom.amqp.address import parameters
from ecom.amqp.connection import TROUBLE, why
from ecom.amqp.session import Session
from ecom.contract import topology
from ecom.contract.contract import Contract
from ecom.runtime.messages import Ack, Announce, Publish, PublisherDown, PublisherUp, Rejected

FIRST_WAIT, LONGEST_WAIT = 0.1, 5.0  # seconds between attempts to connect
INTERNAL_ERROR = 541  # the broker's reply to what it may well do a little later
STEADY = 30.0  # seconds after which a session was a good one, though nothing was confirmed

log = logging.getLogger("ecom.bus")


class Bus:
    """One service's connection to the broker. `put` is given inputs of the runtime."""

    def __init__(self, url: str, shop: str, service: str, put: Callable[[Any], None]) -> None:
        self._places = parameters(url)
        self._shop = shop
        self._service = service
        self._put = put
        self._session: Session | None = None
        self.epoch = 0  # the number of the session
        self.ready = asyncio.Event()  # set once it has been connected

    async def run(self) -> None:
        """Stay connected until cancelled: each session is followed by one at the next broker.

        If the broker ended it for what was published, the next one publishes row by row: the row
        that ends this, too, is rejected, so that all others leave.
        """
        wait, suspects = FIRST_WAIT, list[int]()
        for place in cycle(self._places):
            self.epoch += 1
            carefully = bool(suspects)
            session = Session(self._shop, self._service, self.epoch, self._put, carefully)
            opened = time.monotonic()
            try:
                await session.open(place)
                self._session = session
                self._put(PublisherUp())
                self.ready.set()
                log.info("Connected to the broker at %s:%d", place.host, place.port)
                reason = await session.ended
            except TROUBLE as error:
                reason = error
            finally:
                self._session = None
                await session.close()
            suspects = session.suspects
            if carefully and len(suspects) == 1:
                self._put(Rejected(suspects, why(reason)))
            self._put(PublisherDown())
            if session.proven or time.monotonic() - opened > STEADY:
                wait = FIRST_WAIT
            lost = "No connection to the broker at %s:%d (%s); next attempt in %.1f s"
            log.warning(lost, place.host, place.port, why(reason), wait)
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))
            wait = min(LONGEST_WAIT, wait * 2)

    @property
    def user(self) -> str:
        """The user as whom it is connected; the broker checks that name on what it publishes."""
        return self._places[0].credentials.username

    @property
    def connected(self) -> bool:
        """Whether there is a session right now."""
        return self._session is not None

    def publish(self, output: Publish) -> None:
        """Publish a row; `Confirmed` or `Rejected` follows. Without a connection, do nothing: the
        runtime publishes again after each `PublisherUp`."""
        if self._session is not None:
            self._session.publish(output.row)

    def announce(self, output: Announce) -> None:
        """Publish once, unconfirmed. Without a connection, do nothing."""
        if self._session is not None:
            self._session.announce(output)

    async def check_queue(self) -> None:
        """Check that our queue exists and delivers; if not, connect again until it does."""
        if self._session is not None:
            with suppress(*TROUBLE):
                await self._session.check_queue()

    def ack(self, output: Ack) -> None:
        """Acknowledge; without effect after a reconnect, and then the inbox absorbs duplicates."""
        if self._session is not None and output.channel == self.epoch:
            self._session.ack(output.tag)


def declare(contract: Contract, url: str, shop: str, patience: float | None = None) -> None:
    """Declare the shop's topology; again, while a broker that is busy cannot form a queue's cluster
    in time. Raises pika's errors: at once, if it exists in another shape. `patience` is as in
    `parameters`."""
    where = parameters(url, patience)
    until = time.monotonic() + where[0].socket_timeout
    while True:
        try:
            return _declare(contract, where, shop)
        except pika.exceptions.ConnectionClosedByBroker as error:
            if error.reply_code != INTERNAL_ERROR or time.monotonic() > until:
                raise
        time.sleep(FIRST_WAIT)


def _declare(contract: Contract, where: list[pika.URLParameters], shop: str) -> None:
    with pika.BlockingConnection(where) as connection:
        channel = connection.channel()
        events, dead = topology.exchange(shop), topology.dead_exchange(shop)
        for name in (events, dead):
            channel.exchange_declare(name, exchange_type="topic", durable=True)
        for queue, arguments in topology.queues(contract, shop).items():
            channel.queue_declare(queue, durable=True, arguments=arguments)
        for queue, key in topology.bindings(contract, shop):
            channel.queue_bind(queue, events, key)
        for service in contract.services:
            channel.queue_bind(topology.dead_queue(shop, service), dead, service)


def remove_topology(contract: Contract, url: str, shop: str) -> None:
    """Delete the shop's exchanges and queues with all that is in them; harmless to repeat."""
    with pika.BlockingConnection(parameters(url)) as connection:
        channel = connection.channel()
        for name in (topology.exchange(shop), topology.dead_exchange(shop)):
            channel.exchange_delete(name)
        for queue in topology.queues(contract, shop):
            channel.queue_delete(queue)
