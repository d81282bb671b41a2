"""Callers of an HTTP API, each on a connection of its own, at as little CPU as Python can.

A request is bytes made before, an answer is its status and so many bytes: a client that does more
would take the core from the server that is measured.
"""

import asyncio
import re
import time

from benchmarks.contender import BenchFailed

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)\r\n")


def request(method: str, path: str, token: str, body: bytes = b"") -> bytes:
    """One request, whole."""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def load(
    url: str, asked: bytes, callers: int, number: int, rate: float | None = None
) -> tuple[float, list[float]]:
    """Ask so many times; the seconds that all took, and each in milliseconds. With a `rate`, each
    has its moment, so many a second, from which its time counts, however late it is sent.

    Raises `BenchFailed` for an answer that is no success.
    """
    host, _, port = url.removeprefix("http://").partition(":")
    opened = [await asyncio.open_connection(host, int(port)) for _ in range(callers)]
    took: list[float] = []
    left, begun = iter(range(number)), time.perf_counter()

    async def caller(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for n in left:
            since = time.perf_counter() if rate is None else begun + n / rate
            await asyncio.sleep(max(0.0, since - time.perf_counter())) if rate else None
            writer.write(asked)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 20"):
                raise BenchFailed(f"The API answered {head!r}")
            await reader.readexactly(int(_LENGTH.search(head)[1]))
            took.append((time.perf_counter() - since) * 1000)
        writer.close()

    await asyncio.gather(*(caller(*each) for each in opened))
    return time.perf_counter() - begun, took
