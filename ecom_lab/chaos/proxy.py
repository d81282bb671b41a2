"""A TCP proxy between the services and the broker, which can be a bad line in many ways."""

import asyncio
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Coroutine
from contextlib import suppress
from random import Random
from typing import Any
from urllib.parse import urlsplit

CHUNK = 16 * 1024


class Valve:
    """One direction of one line: open, held (nothing passes), or leaking (all is swallowed)."""

    def __init__(self, source: StreamReader, target: StreamWriter, *, is_back: bool) -> None:
        self._source, self._target = source, target
        self.is_back = is_back  # from the broker
        self.open = asyncio.Event()
        self.open.set()
        self.leaking = False
        self.delay = 0.0  # seconds before each chunk is passed on

    async def pass_on(self) -> None:
        """Until the source ends."""
        while data := await self._source.read(CHUNK):
            if self.delay:
                await asyncio.sleep(self.delay)
            await self.open.wait()
            if not self.leaking:
                self._target.write(data)
                await self._target.drain()

    def cut(self) -> None:
        """Reset the connection that it leads to, whatever is on its way."""
        self._target.transport.abort()


class Proxy:
    """Listens at `url`, on the loopback; every connection goes to one of `brokers`, that answers.

    Its faults strike all lines there are at that moment; new ones are sound.
    """

    def __init__(self, *brokers: str) -> None:
        self._brokers = [urlsplit(url) for url in brokers]
        self._valves: list[Valve] = []  # two for each line
        self._random = Random(0)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._accept, "127.0.0.1", 0))
        port = self._server.sockets[0].getsockname()[1]
        credentials = self._brokers[0].netloc.rpartition("@")[0]
        self.url = self._brokers[0]._replace(netloc=f"{credentials}@127.0.0.1:{port}").geturl()

    def cut(self) -> None:
        """Reset every line."""
        for valve in [*self._valves]:
            self._loop.call_soon_threadsafe(valve.cut)

    def deafen(self) -> None:
        """What the broker says is lost from now on: confirms, too. What is sent to it arrives."""
        for valve in [*self._valves]:
            valve.leaking |= valve.is_back

    def forget(self) -> None:
        """Half-open: nothing passes any more, either way, and nobody is told."""
        for valve in [*self._valves]:
            valve.leaking = True

    def slow(self, seconds: float) -> None:
        """Every chunk takes that long, on every line."""
        for valve in [*self._valves]:
            valve.delay = seconds

    def clog(self, random: Random, seconds: float) -> None:
        """Nothing passes for so long; then the lines are released one by one, in random order."""
        self._do(self._clog(random, seconds))

    def close(self) -> None:
        """Stop listening and cut all lines."""
        self._do(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(asyncio.CancelledError):  # the proxy closes; asyncio would log it as an error
            try:
                if broker := await self._reach_broker():
                    there = Valve(reader, broker[1], is_back=False)
                    await self._serve(there, Valve(broker[0], writer, is_back=True))
            finally:  # also if the proxy closes before the broker has answered
                writer.transport.abort()

    async def _reach_broker(self) -> tuple[StreamReader, StreamWriter] | None:
        """Any of those that answer, so that a new attempt tries another one."""
        for url in self._random.sample(self._brokers, len(self._brokers)):
            with suppress(OSError):
                return await asyncio.open_connection(url.hostname, url.port)
        return None

    async def _serve(self, *line: Valve) -> None:
        """Pass on what comes from either side until one ends; then end the other, too."""
        ways = [asyncio.create_task(valve.pass_on()) for valve in line]
        self._valves += line
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for valve in line:
                valve.cut()
                self._valves.remove(valve)

    async def _clog(self, random: Random, seconds: float) -> None:
        valves = [*self._valves]
        for valve in valves:
            valve.open.clear()
        await asyncio.sleep(seconds)
        for valve in random.sample(valves, len(valves)):
            valve.open.set()
            await asyncio.sleep(random.uniform(0, 0.02))

    async def _shut(self) -> None:
        self._server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
