"""How fast the API accepts orders and shows them, beside its floor: see `benchmarks.api_floor`.

The order service alone, its events confirmed by the broker and heard by nobody yet.
"""

import asyncio
import json
import os
from collections.abc import Callable
from statistics import median
from typing import Any

import psutil

from benchmarks.api_floor import API_FLOOR
from benchmarks.contender import Run
from benchmarks.contenders import ECOM, tell
from benchmarks.http_load import load, request
from benchmarks.shop import order
from benchmarks.stats import percentiles, ratio

ROUNDS = 5  # that both take in turns
MANY = 16  # callers, where it is not told
LISTS = (10, 100, 1_000)  # orders in one request
OTHERS = ("inventory", "payment", "notification", "audit")
# What is asked, and by how many at a time.
ASKED = {
    "`POST /orders`, one": (("POST", "/orders"), (1, MANY, 64)),
    "`GET /orders/1001`": (("GET", "/orders/1001"), (1, MANY)),
    "`GET /orders`, a hundred": (("GET", "/orders?limit=100"), (1, MANY)),
}
CASES = [(what, callers) for what, (_, several) in ASKED.items() for callers in several]
STEPS = ROUNDS * len(CASES) + 1 + len(LISTS)


class Api:
    """A running API: how to ask it, and what that costs."""

    def __init__(self, run: Run) -> None:
        note, token = run.note("order-1"), run.folder / "http-token"
        self._token = token.read_text() if token.exists() else ""
        self._url, self._server = note["http"], psutil.Process(note["pid"])

    def ask(self, verb: str, path: str, callers: int, number: int, **how: Any) -> dict[str, Any]:
        """Requests a second, milliseconds of one, and CPU milliseconds of server and callers."""
        size = how.pop("size", 1)
        body = json.dumps([order(n) for n in range(size)] if size > 1 else order(0)).encode()
        asked = request(verb, path, self._token, body if verb == "POST" else b"")
        before = self._cpu()
        seconds, took = asyncio.run(load(self._url, asked, callers, number, **how))
        server, caller = (b - a for a, b in zip(before, self._cpu(), strict=True))
        each = {"cpu_ms": server * 1000 / number, "caller_cpu_ms": caller * 1000 / number}
        return {"per_second": number / seconds, **percentiles(took), **each}

    def _cpu(self) -> tuple[float, float]:
        return sum(self._server.cpu_times()[:2]), sum(os.times()[:2])


def intake(url: str, orders: int, step: Callable[[], None]) -> dict[str, Any]:
    """`requests`: each case of `CASES`, ours beside the floor's, medians of interleaved rounds;
    `half`: at half of what many callers reach; `lists`: orders per second by orders a request."""
    seen: dict[tuple[str, int], dict[str, list[dict]]] = {case: {} for case in CASES}
    with Run(ECOM, url) as run, Run(API_FLOOR, "") as floor:
        for service in OTHERS:
            tell(run, f"kill {service}")
        apis = {"ecom": Api(run), "floor": Api(floor)}
        for api in apis.values():
            api.ask("POST", "/orders", MANY, 20 + 100)
        for _ in range(ROUNDS):
            for what, callers in CASES:
                number = max(1, min(orders, 2_000 if callers > 1 else 500) // 2)
                for name, api in apis.items():
                    found = api.ask(*ASKED[what][0], callers, number)
                    seen[what, callers].setdefault(name, []).append(found)
                step()
        rows = [{"what": what, "callers": n, **_summary(seen[what, n])} for what, n in CASES]
        half = rows[1]["per_second"] / 2
        calm = apis["ecom"].ask("POST", "/orders", MANY, min(orders, 2_000), rate=half)
        step()
        lists = []
        for size in LISTS:
            number = max(1, min(orders, 50 * MANY * size) // size)
            rate = apis["ecom"].ask("POST", "/orders", MANY, number, size=size)["per_second"]
            lists.append({"in_one_request": size, "orders_per_second": round(rate * size, 1)})
            step()
    return {"requests": rows, "half": calm, "lists": lists}


def _summary(found: dict[str, list[dict]]) -> dict[str, Any]:
    ours, floors = found["ecom"], found["floor"]
    told = {name: round(median(each[name] for each in ours), 3) for name in ours[0]}
    speeds = [[each["per_second"] for each in side] for side in (ours, floors)]
    costs = [[each["cpu_ms"] or 1e-9 for each in side] for side in (ours, floors)]
    return {**told, "floor_ratio": ratio(*speeds), "floor_cpu_ratio": ratio(*costs)}
