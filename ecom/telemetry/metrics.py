"""`GET /metrics`: a process's numbers over HTTP, on a port of its own, on the loopback only.

By hand, on asyncio: a web framework would cost every service a tenth of a second at its start and
ten megabytes. Reading the numbers happens in a thread, so that no order waits for it.
"""

import asyncio
import sqlite3
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ecom.stores.base import StoreUnavailable
from ecom.telemetry.meter import Meter

if TYPE_CHECKING:
    from ecom.bus import Bus
    from ecom.settings import Settings
    from ecom.telemetry.numbers import Numbers

TYPE = "text/plain; version=0.0.4; charset=utf-8"
PATIENCE = 10.0  # seconds for one request and its answer

_ANSWER = "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n"


class Metrics:
    """What one process says of itself. `meter` is told of its steps."""

    def __init__(self, service: str, settings: "Settings", bus: "Bus") -> None:
        self.meter = Meter()
        self._service, self._folder, self._bus = service, settings.folder, bus

    async def page(self) -> bytes:
        """All the numbers, as `TYPE`. Raises `StoreUnavailable`."""
        return await asyncio.to_thread(self._page, self._bus.connected)

    def _page(self, connected: bool) -> bytes:
        try:
            return self._numbers.page(connected)
        except sqlite3.Error as error:
            raise StoreUnavailable(str(error)) from error

    @cached_property
    def _numbers(self) -> "Numbers":
        from ecom.telemetry.numbers import Numbers  # here: nobody pays for it who is never asked

        return Numbers(self._folder, self._service, self.meter)

    async def serve(self) -> str:
        """Listen on any free port; the address of the page. Ends with the event loop."""
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        return "http://{}:{}/metrics".format(*server.sockets[0].getsockname())

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                status, type_, body = await self._asked(await reader.readuntil(b"\r\n\r\n"))
                writer.write(_ANSWER.format(status, type_, len(body)).encode() + body)
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked did not ask well, or has gone
        finally:
            writer.close()

    async def _asked(self, head: bytes) -> tuple[str, str, Any]:
        if head.split(b" ")[:2] != [b"GET", b"/metrics"]:
            return "404 Not Found", "text/plain", b"GET /metrics is all there is.\n"
        try:
            return "200 OK", TYPE, await self.page()
        except StoreUnavailable as error:
            return "503 Service Unavailable", "text/plain", f"{error}\n".encode()
