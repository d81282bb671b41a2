"""How fast orders are accepted: `POST /orders`, one at a time and in lists.

The order service alone, its events confirmed by the broker and heard by nobody yet.
"""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import httpx

from benchmarks.contender import Run
from benchmarks.contenders import ECOM, tell
from benchmarks.shop import order

AT_A_TIME = 16  # requests under way
LISTS = (1, 10, 100, 1_000)  # orders in one request
OTHERS = ("inventory", "payment", "notification", "audit")


def intake(url: str, orders: int, step: Callable[[], None]) -> list[dict[str, Any]]:
    """Orders per second by how many come in one request."""
    points = []
    with Run(ECOM, url) as run:
        for service in OTHERS:
            tell(run, f"kill {service}")
        asyncio.run(_post(run, 1, 20))
        for size in LISTS:
            number = max(1, min(orders, 50 * AT_A_TIME * size) // size)
            rate = number * size / asyncio.run(_post(run, size, number))
            counts = {"in_one_request": size, "orders": number * size}
            points.append({**counts, "orders_per_second": round(rate, 1)})
            step()
    return points


async def _post(run: Run, size: int, number: int) -> float:
    """Post `number` lists (or single orders), some at a time; the seconds it took."""
    body = json.dumps([order(n) for n in range(size)] if size > 1 else order(0)).encode()
    note, left = run.note("shop-1"), iter(range(number))
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {note['token']}"}

    async with httpx.AsyncClient(timeout=120, headers=headers) as client:

        async def customer() -> None:
            for _ in left:
                answer = await client.post(f"{note['url']}/orders", content=body)
                answer.raise_for_status()

        begun = time.monotonic()
        await asyncio.gather(*(customer() for _ in range(AT_A_TIME)))
        return time.monotonic() - begun
