"""How fast the API accepts orders and shows them, beside its floor: see `benchmarks.api_floor`.

The order service alone, its events confirmed by the broker and heard by nobody yet. Callers are
connections of one process, which does as little as Python can: a request is bytes made before, an
answer its status and so many bytes. What does more would take the core from what is measured.
"""

import asyncio
import json
import os
import re
import time
from itertools import product
from typing import Any

import pandas as pd
import psutil

from benchmarks.api_floor import API_FLOOR
from benchmarks.contender import Bench, BenchFailed, Run
from benchmarks.contenders import ECOM, tell
from benchmarks.shop import order
from benchmarks.stats import percentiles

ROUNDS = 5  # that both take in turns
MANY = 16  # callers, where it is not told
LISTS = (10, 100, 1_000)  # orders in one request
OTHERS = ("inventory", "payment", "notification", "audit")
ORDER = "POST /orders"
# What is asked, and by how many at a time.
ASKED = {
    "`POST /orders`, one": (ORDER, (1, MANY, 64)),
    "`GET /orders/1001`": ("GET /orders/1001", (1, MANY)),
    "`GET /orders`, a hundred": ("GET /orders?limit=100", (1, MANY)),
}
CASES = [(what, callers) for what, (_, several) in ASKED.items() for callers in several]
Took = tuple[float, list[float]]  # seconds of all, milliseconds of each
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)\r\n")


class Api:
    """A running API: how to ask it, and what that costs."""

    def __init__(self, run: Run) -> None:
        note, token = run.note("order"), run.folder / "http-token"
        self._token = token.read_text() if token.exists() else ""
        self._host, _, port = note["http"].removeprefix("http://").partition(":")
        self._port, self._server = int(port), psutil.Process(note["pid"])

    def ask(self, what: str, callers: int, number: int, rate: float = 0.0, size: int = 1) -> dict:
        """Requests a second, milliseconds of one, and CPU milliseconds of server and callers, of so
        many requests, of `size` orders each if they place any. With a `rate`, each has its moment,
        so many a second, from which its time counts, however late it is sent."""
        orders = [order(n) for n in range(size)] if size > 1 else order(0)
        body = json.dumps(orders) if what == ORDER else ""
        asked = (
            f"{what} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self._token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()
        before = self._cpu()
        seconds, took = asyncio.run(self._load(asked, callers, number, rate))
        server, caller = (b - a for a, b in zip(before, self._cpu(), strict=True))
        each = {"cpu_ms": server * 1000 / number, "caller_cpu_ms": caller * 1000 / number}
        return {"per_second": number / seconds, **percentiles(took), **each}

    def _cpu(self) -> tuple[float, float]:
        return sum(self._server.cpu_times()[:2]), sum(os.times()[:2])

    async def _load(self, asked: bytes, callers: int, number: int, rate: float) -> Took:
        """Raises `BenchFailed` for an answer that is no success."""
        opened = [await asyncio.open_connection(self._host, self._port) for _ in range(callers)]
        took: list[float] = []
        left, begun = iter(range(number)), time.perf_counter()

        async def caller(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for n in left:
                since = begun + n / rate if rate else time.perf_counter()
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


def intake(bench: Bench) -> dict[str, Any]:
    """`requests`: each case of `CASES`, ours beside the floor's, medians of interleaved rounds;
    `half`: at half of what many callers reach; `lists`: orders per second by orders a request."""
    orders, seen, lists = bench.orders, list[dict[str, Any]](), []
    with Run(ECOM, bench.url) as run, Run(API_FLOOR, "") as floor:
        for service in OTHERS:
            tell(run, f"kill {service}")
        apis = {"ecom": Api(run), "floor": Api(floor)}
        for api in apis.values():
            api.ask(ORDER, MANY, 20 + 100)
        for turn, (what, callers), name in product(range(ROUNDS), CASES, apis):
            number = max(1, min(orders, 2_000 if callers > 1 else 500) // 2)
            case = {"name": name, "what": what, "callers": callers, "turn": turn}
            seen.append(case | apis[name].ask(ASKED[what][0], callers, number))
        rows = _summary(pd.DataFrame(seen))
        half = rows[1]["per_second"] / 2
        calm = apis["ecom"].ask(ORDER, MANY, min(orders, 2_000), rate=half)
        for size in LISTS:
            number = max(1, min(orders, 50 * MANY * size) // size)
            rate = apis["ecom"].ask(ORDER, MANY, number, size=size)["per_second"]
            lists.append({"in_one_request": size, "orders_per_second": round(rate * size, 1)})
    return {"requests": rows, "half": calm, "lists": lists}


def _summary(seen: pd.DataFrame) -> list[dict[str, Any]]:
    """Of each case, medians of ours, and of their ratios to the floor's."""
    turns = seen.set_index(["name", "what", "callers", "turn"]).replace(0, 1e-9)
    ours, ratios = turns.loc["ecom"], turns.loc["ecom"] / turns.loc["floor"]
    beside = {"floor_ratio": ratios.per_second, "floor_cpu_ratio": ratios.cpu_ms}
    found = ours.assign(**beside).groupby(["what", "callers"], sort=False).median().round(3)
    return found.reset_index().to_dict("records")
