"""Customers: orders sent over HTTP by a thread, and what was promised in return.

Most customers ask again under the same key until they are answered; the hasty ones do not. Some
cards are declined, some orders ask for what is sold out or unknown, some are cancelled at once.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

import httpx

from ecom.sandbox.cards import DECLINED_CARD, GOOD_CARD
from ecom_lab.chaos.verdict import HarnessFailed

AT_ONCE = 10  # orders in one request, at most
ANSWER_SECONDS = 8.0  # then the customer asks again
AGAIN_SECONDS = 0.1


@dataclass(frozen=True)
class Wish:
    """One customer's order, and how they behave."""

    customer: str  # nobody orders twice, so that each order can be traced to its wish
    card: str
    lines: tuple[tuple[str, int], ...]  # sku, units
    cancels: bool
    hasty: bool  # does not ask again if there is no answer

    def as_json(self) -> dict[str, Any]:
        """The order as the door wants it."""
        lines = [{"sku": sku, "quantity": n, "unit_price": 250} for sku, n in self.lines]
        return {"customer": self.customer, "card": self.card, "lines": lines}


def wishes(orders: int, seed: int) -> list[Wish]:
    """That many customers: always the same for one seed."""
    random = Random(seed)
    return [
        Wish(
            customer=f"c{number}@example.com",
            card=random.choices((GOOD_CARD, DECLINED_CARD), (9, 1))[0],
            lines=random.choices(_BASKETS, (80, 10, 8, 2))[0],
            cancels=random.random() < 0.05,
            hasty=random.random() < 0.05,
        )
        for number in range(orders)
    ]


def shelves(orders: int) -> dict[str, int]:
    """Stock for so many wishes: buns for all, pearls for few."""
    return {"BUN": 2 * orders + 1, "PEARL": orders // 10 + 1}


_BASKETS = ((("BUN", 1),), (("BUN", 2), ("PEARL", 1)), (("PEARL", 1),), (("GHOST", 1),))


class Load:
    """Sends `wishes`, as many as are released, to the door whose address `find` returns."""

    def __init__(self, wishes: list[Wish], find: Callable[[], str], token: str, seed: int) -> None:
        self.attempted: set[str] = set()  # customers
        self.acknowledged: dict[str, str] = {}  # order → customer
        self._wishes, self._next = wishes, 0
        self._find, self._seed = find, seed
        self._queue: queue.SimpleQueue[list[Wish] | None] = queue.SimpleQueue()
        shown = {"Authorization": f"Bearer {token}"}
        self._http = httpx.Client(timeout=ANSWER_SECONDS, headers=shown)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def release(self, orders: int) -> None:
        """Let that many more customers come, if there are any left."""
        end = min(self._next + orders, len(self._wishes))
        while self._next < end:
            chunk = self._wishes[self._next : min(self._next + AT_ONCE, end)]
            self._next += len(chunk)
            self._queue.put(chunk)

    def finish(self, seconds: float) -> None:
        """Let all the others come, and wait until each has been answered, or has given up.

        Raises `HarnessFailed` if that takes longer.
        """
        self.release(len(self._wishes))
        self._queue.put(None)
        self._thread.join(seconds)
        if self._thread.is_alive():
            raise HarnessFailed(f"customers were not answered within {seconds:g} s")

    def close(self) -> None:
        """Send everybody home."""
        self._stopped.set()
        self._queue.put(None)
        self._thread.join()
        self._http.close()

    def _work(self) -> None:
        for chunk in iter(self._queue.get, None):
            if self._stopped.is_set():
                return
            self._place(chunk)

    def _place(self, chunk: list[Wish]) -> None:
        self.attempted.update(wish.customer for wish in chunk)
        key = f"chaos-{self._seed}-{chunk[0].customer}"
        body = [wish.as_json() for wish in chunk]
        for answer in self._tries(not chunk[0].hasty, "/orders", body, {"Idempotency-Key": key}):
            numbers = [order["order_id"] for order in answer.json()]
            self.acknowledged.update(zip(numbers, (wish.customer for wish in chunk), strict=True))
            for number, wish in zip(numbers, chunk, strict=True):
                if wish.cancels:
                    list(self._tries(not wish.hasty, f"/orders/{number}/cancel", None, {}))

    def _tries(self, patient: bool, path: str, body: Any, headers: Any) -> Iterator[httpx.Response]:
        """The answer, once there is one; nothing, if the customer gave up."""
        while not self._stopped.is_set():
            try:
                answer = self._http.post(self._find() + path, json=body, headers=headers)
                if answer.is_success:
                    yield answer
                    return
            except (httpx.TransportError, FileNotFoundError):
                pass  # the door is closed just now, or has a new address
            if not patient:
                return
            time.sleep(AGAIN_SECONDS)
