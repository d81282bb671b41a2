"""Where a fault is played: an open shop, its customers, and hands on its processes."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import psutil

from ecom.harness.processes import Crew, Member, read_note
from ecom.harness.tenancy import forget
from ecom.harness.workspace import name_for
from ecom.settings import home
from ecom.shop.credentials import kept_token
from ecom.shop.shop import Shop
from ecom_lab.chaos.verdict import HarnessFailed
from ecom_lab.chaos.workload import Load
from ecom_lab.shop import CONTRACT

if TYPE_CHECKING:
    from ecom_lab.chaos.fault import Fault, Size


class Stage:
    """One shop under one fault. `broker` is what the fault may lay hands on besides."""

    def __init__(self, shop: Shop, fault: "Fault", size: "Size", seed: int, broker: Any) -> None:
        self.shop, self.broker = shop, broker
        self.orders, self.rounds, self.seconds = size
        self.random = Random(seed + 1)  # not the customers' own
        self.problems: list[str] = []  # promises that were broken on the way
        wishes, token = fault.wishes(size.orders, seed), kept_token(shop.folder)
        self.load = Load(wishes, lambda: door(shop.folder), token, seed)

    @property
    def crew(self) -> Crew:
        """The shop's processes."""
        return self.shop.crew

    def burst(self, parts: int = 2) -> None:
        """One of `parts` of a round's customers come, and a moment passes: the shop is busy now."""
        self.load.release(-(-self.orders // (self.rounds * parts)))
        self.wait(0.0, 0.1)

    def wait(self, least: float, most: float) -> None:
        """Let a random time pass, in seconds."""
        time.sleep(self.random.uniform(least, most))

    def close(self) -> None:
        """Send the customers home."""
        self.load.close()

    def pid(self, service: str) -> int:
        """The process id of a service."""
        return read_note(self.shop.folder, (service, "1"))["pid"]

    def process(self, service: str) -> psutil.Process:
        """The process of a service."""
        return psutil.Process(self.pid(service))

    def resident(self, service: str) -> int:
        """Bytes of memory that a service has in use."""
        return self.process(service).memory_info().rss

    def leave(self, service: str) -> None:
        """Have a service end cleanly. Raises `HarnessFailed` if it does not."""
        os.kill(self.pid(service), signal.SIGTERM)
        member: Member = (service, "1")
        wait_for(lambda: not self.crew.is_alive(member), 20, f"{service} to end")


def door(folder: Path) -> str:
    """Where the order service listens. Raises `FileNotFoundError` while it does not."""
    return read_note(folder, ("order", "1"))["http"]


def wait_for(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Wait until a condition holds. Raises `HarnessFailed`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise HarnessFailed(f"waited {seconds:g} s in vain for {what}")
        time.sleep(0.01)


@contextmanager
def stage(fault: "Fault", size: "Size", seed: int) -> Iterator[Stage]:
    """An open shop in a folder of its own, which stays to be looked into if something was amiss."""
    folder = home() / "chaos" / f"{fault.name}-{seed}"
    left = folder.exists()
    shutil.rmtree(folder, ignore_errors=True)
    stock = fault.shelves(size.orders)
    with fault.ground() as (url, broker):
        if left:  # by somebody who was interrupted, perhaps with events in its queues
            forget(CONTRACT, url, name_for(folder))
        shop = Shop(stock, folder=folder, amqp_url=url, hold_seconds=fault.hold_seconds)
        with shop, closing(Stage(shop, fault, size, seed, broker)) as it:
            name = shop.name
            yield it
        forget(CONTRACT, url, name)
    if not it.problems:
        shutil.rmtree(folder, ignore_errors=True)
