"""Those who ask: for orders sent over HTTP by a thread, say; and what was promised in return.

Most customers ask again under the same key until they are answered; the hasty ones do not. Some
cards are declined, some orders ask for what is sold out or unknown, some are cancelled at once.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from random import Random
from typing import Any

import httpx
from msgspec import Struct

from ecom.broker.management import client
from ecom.contract.contract import subject_of
from ecom.errors import ServiceDied, ServiceDown, ShopError
from ecom.harness.running import Running
from ecom.sandbox.cards import DECLINED_CARD, GOOD_CARD
from ecom_lab.chaos.verdict import HarnessFailed

AT_ONCE = 10  # orders in one request, at most
ANSWER_SECONDS = 8.0  # then the customer asks again
AGAIN_SECONDS = 0.1

Wish = tuple[str, Struct]  # service, command


@dataclass(frozen=True)
class Customer:
    """One customer's order, and how they behave."""

    address: str  # nobody orders twice, so that each order can be traced to its customer
    card: str
    lines: tuple[tuple[str, int], ...]  # sku, units
    cancels: bool = False
    hasty: bool = False  # does not ask again if there is no answer

    def as_json(self) -> dict[str, Any]:
        """The order as the order service takes it."""
        lines = [{"sku": sku, "quantity": n, "unit_price": 250} for sku, n in self.lines]
        return {"customer": self.address, "card": self.card, "lines": lines}


def customers(orders: int, seed: int) -> list[Customer]:
    """That many customers: always the same for one seed."""
    random = Random(seed)
    return [
        Customer(
            address=f"c{number}@example.com",
            card=random.choices((GOOD_CARD, DECLINED_CARD), (9, 1))[0],
            lines=random.choices(_BASKETS, (80, 10, 8, 2))[0],
            cancels=random.random() < 0.05,
            hasty=random.random() < 0.05,
        )
        for number in range(orders)
    ]


def stock(orders: int) -> dict[str, int]:
    """What the shop has for so many customers: buns for all, pearls for few."""
    return {"BUN": 2 * orders + 1, "PEARL": orders // 10 + 1}


_BASKETS = ((("BUN", 1),), (("BUN", 2), ("PEARL", 1)), (("PEARL", 1),), (("GHOST", 1),))


class Workload:
    """Those who ask, one after the other, as many as are released; each kind says how."""

    def __init__(self, customers: Sequence[Any]) -> None:
        self.attempted: set[str] = set()  # customers
        self.acknowledged: dict[str, str] = {}  # order → customer
        self._customers, self._next = customers, 0
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(1)
        self._come: list[Future[None]] = []

    def release(self, orders: int) -> None:
        """Let that many more customers come, if there are any left."""
        end = min(self._next + orders, len(self._customers))
        while self._next < end:
            chunk = self._customers[self._next : min(self._next + AT_ONCE, end)]
            self._next += len(chunk)
            self._come.append(self._pool.submit(self._ask, chunk))

    def finish(self, seconds: float) -> None:
        """Let all the others come, and wait until each has been answered, or has given up.

        Raises `HarnessFailed` if one of them waits for longer, once it is their turn.
        """
        self.release(len(self._customers))
        for each in self._come:
            try:
                each.result(seconds)  # raises what went wrong with the customers themselves
            except TimeoutError:
                why = f"customers were not answered within {seconds:g} s"
                raise HarnessFailed(why) from None

    def close(self) -> None:
        """Send everybody home."""
        self._stopped.set()
        self._pool.shutdown(cancel_futures=True)

    def _ask(self, chunk: Sequence[Any]) -> None:
        """Have these customers ask until they are answered."""
        raise NotImplementedError


class Orders(Workload):
    """Sends orders to the order service, which is asked for anew before each request."""

    def __init__(
        self, customers: list[Customer], find: Callable[[], str], token: str, seed: int
    ) -> None:
        super().__init__(customers)
        self._find, self._seed = find, seed
        shown = {"Authorization": f"Bearer {token}"}
        self._http = client(timeout=ANSWER_SECONDS, headers=shown)

    def close(self) -> None:
        super().close()
        self._http.close()

    def _ask(self, chunk: Sequence[Customer]) -> None:
        self.attempted.update(each.address for each in chunk)
        headers = {"Idempotency-Key": f"chaos-{self._seed}-{chunk[0].address}"}
        body = [each.as_json() for each in chunk]
        if answer := self._post("/orders", not chunk[0].hasty, json=body, headers=headers):
            for order, each in zip(answer.json(), chunk, strict=True):
                self.acknowledged[order["order_id"]] = each.address
            for order, each in zip(answer.json(), chunk, strict=True):
                if each.cancels:
                    self._post(f"/orders/{order['order_id']}/cancel", not each.hasty)

    def _post(self, path: str, patient: bool, **what: Any) -> httpx.Response | None:
        """The answer, once there is a good one; nothing, if the customer gave up."""
        while not self._stopped.is_set():
            try:
                answer = self._http.post(self._find() + path, **what)
                if answer.is_success:
                    return answer
            except (httpx.TransportError, FileNotFoundError):
                pass  # nobody answers just now, or somewhere else
            if not patient:
                break
            time.sleep(AGAIN_SECONDS)
        return None


class Commands(Workload):
    """Gives each command of a saga of one's own until a service answers or refuses it."""

    def __init__(self, running: Running, commands: Sequence[Wish]) -> None:
        super().__init__(commands)
        self._running = running

    def _ask(self, chunk: Sequence[Wish]) -> None:
        for service, command in chunk:
            self.attempted.add(subject_of(command))
            while not self._stopped.is_set():
                try:
                    self._running.command(service, command)
                    self.acknowledged[subject_of(command)] = subject_of(command)
                    break
                except (ServiceDown, ServiceDied):
                    time.sleep(AGAIN_SECONDS)
                except ShopError:
                    break
