"""What tests of the bus need: a proxy that can be cut, a tap on a bus, and odd frames."""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pika

from ecom.bus import Bus, parameters
from ecom.contract import topology


class Proxy:
    """Between us and the broker: `cut` ends every connection, as a network does."""

    def __init__(self, url: str) -> None:
        self._to = pika.URLParameters(url)
        self._writers: list[asyncio.StreamWriter] = []
        self._closed = False
        self.found = 0  # connections that were made through it

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        login = self._to.credentials
        return f"amqp://{login.username}:{login.password}@127.0.0.1:{port}/%2F"

    async def __aexit__(self, *_: object) -> None:
        self.cut()
        self._server.close()
        await self._server.wait_closed()

    def close(self) -> None:
        """The broker is gone, until `open`."""
        self._closed = True
        self.cut()

    def open(self) -> None:
        self._closed = False

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._closed:
            writer.transport.abort()
            return
        self.found += 1
        there, back = await asyncio.open_connection(self._to.host, self._to.port)
        self._writers += [writer, back]
        await asyncio.gather(_copy(reader, back), _copy(there, writer))


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    target.close()


class Tap:
    """A bus at work, and all that it has put."""

    def __init__(self, url: str, shop: str, service: str) -> None:
        self.got: list[Any] = []
        self.bus = Bus(url, shop, service, self.got.append)

    def of(self, kind: type) -> list[Any]:
        return [each for each in self.got if type(each) is kind]

    async def until(self, condition: Callable[[], object], seconds: float = 15.0) -> None:
        """Wait until the condition holds."""
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.005)


@asynccontextmanager
async def tapped(url: str, shop: str, service: str = "inventory") -> AsyncIterator[Tap]:
    """A connected bus."""
    tap = Tap(url, shop, service)
    running = asyncio.create_task(tap.bus.run())
    await asyncio.wait_for(tap.bus.ready.wait(), 15)
    yield tap
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


class RawHeaders(pika.BasicProperties):
    """Properties whose header table is given as bytes, well-formed or not."""

    def __init__(self, table: bytes) -> None:
        super().__init__()
        self._table = table

    def encode(self) -> list[bytes]:
        return [struct.pack(">HI", self.FLAG_HEADERS, len(self._table)), self._table]


def field(kind: bytes, value: bytes, name: bytes = b"a") -> bytes:
    """One field of an AMQP table."""
    return bytes([len(name)]) + name + kind + value


def nested(depth: int) -> bytes:
    """Tables in tables."""
    table = b""
    for _ in range(depth):
        table = field(b"F", struct.pack(">I", len(table)) + table)
    return table


def publish(url: str, shop: str, key: str | bytes, body: bytes, properties: Any = None) -> bool:
    """Publish one message; False if the broker itself would not have it."""
    connection = pika.BlockingConnection(parameters(url))
    channel = connection.channel()
    channel.confirm_delivery()
    try:
        channel.basic_publish(topology.exchange(shop), key, body, properties)
    except pika.exceptions.AMQPError:
        return False
    finally:
        if connection.is_open:
            connection.close()
    return True
