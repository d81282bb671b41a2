"""How fast orders are accepted: `POST /orders`, one at a time and in lists.

The order service alone, its events confirmed by the broker and heard by nobody yet.
"""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx

from benchmarks.contender import Run
from benchmarks.ours import ECOM, door, order

AT_A_TIME = 16  # requests under way
LISTS = (1, 10, 100, 1_000)  # orders in one request


def intake(url: str, orders: int, step: Callable[[], None]) -> list[dict[str, Any]]:
    """Orders per second by how many come in one request, and each request's milliseconds."""
    points = []
    with Run(replace(ECOM, processes=("order",)), url) as run:
        asyncio.run(_post(door(run), 1, 20))
        for size in LISTS:
            number = max(1, min(orders, 50 * AT_A_TIME * size) // size)
            seconds = asyncio.run(_post(door(run), size, number))
            points.append({"in_one_request": size, "orders": number * size,
                           "orders_per_second": round(number * size / seconds, 1)})  # fmt: skip
            step()
    return points


async def _post(address: str, size: int, number: int) -> float:
    """Post `number` lists (or single orders), some at a time; the seconds it took."""
    body = json.dumps([order(n) for n in range(size)] if size > 1 else order(0)).encode()
    left = iter(range(number))

    async with httpx.AsyncClient(timeout=120) as client:

        async def customer() -> None:
            for _ in left:
                headers = {"Content-Type": "application/json"}
                answer = await client.post(address, content=body, headers=headers)
                answer.raise_for_status()

        begun = time.monotonic()
        await asyncio.gather(*(customer() for _ in range(AT_A_TIME)))
        return time.monotonic() - begun
