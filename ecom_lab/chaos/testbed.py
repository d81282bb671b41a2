"""Where a fault is played: an open shop, its customers, and hands on its processes."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from random import Random
from typing import TYPE_CHECKING, Any

import psutil

from ecom.harness.processes import Processes, read_note
from ecom.harness.tenancy import forget
from ecom.harness.workspace import name_for
from ecom.sagas.choreography import choreography
from ecom.settings import home
from ecom.shop.credentials import kept_token
from ecom.shop.shop import Shop
from ecom_lab.chaos.verdict import HarnessFailed
from ecom_lab.chaos.workload import Workload

if TYPE_CHECKING:
    from ecom_lab.chaos.fault import Fault, Size


class Testbed:
    """One shop under one fault. `broker` is what the fault may lay hands on besides."""

    def __init__(self, shop: Shop, fault: "Fault", size: "Size", seed: int, broker: Any) -> None:
        self.shop, self.broker = shop, broker
        self.orders, self.rounds, self.seconds = size
        self.hold_seconds = fault.hold_seconds
        self.contract = shop.saga.contract
        self.services = self.contract.services
        self.replicas = [str(n) for n in range(1, fault.replicas + 1)]
        self.random = Random(seed + 1)  # not the customers' own
        self.problems: list[str] = []  # promises that were broken on the way
        customers, token = fault.customers(size.orders, seed), kept_token(shop.folder)
        self.workload = Workload(customers, self._address, token, seed)

    @property
    def processes(self) -> Processes:
        """The shop's processes."""
        return self.shop.processes

    def start(self, *services: str) -> None:
        """Start all replicas of these services, but for those that run."""
        self.processes.start(*((each, replica) for each in services for replica in self.replicas))

    def kill(self, service: str) -> None:
        """SIGKILL all replicas of a service."""
        for replica in self.replicas:
            self.shop.kill(service, replica)

    def burst(self, parts: int = 2) -> None:
        """One of `parts` of a round's customers come, and a moment passes: the shop is busy now."""
        self.workload.release(-(-self.orders // (self.rounds * parts)))
        self.wait(0.0, 0.1)

    def wait(self, least: float, most: float) -> None:
        """Let a random time pass, in seconds."""
        time.sleep(self.random.uniform(least, most))

    def close(self) -> None:
        """Send the customers home."""
        self.workload.close()

    def _address(self) -> str:
        """Where the order service listens. Raises `FileNotFoundError` while it does not."""
        return read_note(self.shop.folder, ("order", "1"))["http"]

    def pid(self, service: str) -> int:
        """The process id of a service."""
        return read_note(self.shop.folder, (service, "1"))["pid"]

    def memory(self, service: str) -> int:
        """Bytes of memory that a service has in use."""
        return psutil.Process(self.pid(service)).memory_info().rss

    def leave(self, service: str) -> None:
        """Have a service end cleanly. Raises `HarnessFailed` if it does not."""
        os.kill(self.pid(service), signal.SIGTERM)
        wait_for(lambda: not self.processes.is_alive((service, "1")), 20, f"{service} to end")


def wait_for(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Wait until a condition holds. Raises `HarnessFailed`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise HarnessFailed(f"waited {seconds:g} s in vain for {what}")
        time.sleep(0.01)


@contextmanager
def testbed(fault: "Fault", size: "Size", seed: int) -> Iterator[Testbed]:
    """An open shop in a folder of its own, which stays to be looked into if something was amiss."""
    folder = home() / "chaos" / f"{fault.name}-{seed}"
    left = folder.exists()
    shutil.rmtree(folder, ignore_errors=True)
    with fault.environment() as (url, broker):
        stock, hold = fault.stock(size.orders), fault.hold_seconds
        saga = fault.saga(hold)
        contract, own = saga.contract, None if fault.saga is choreography else saga
        if left:  # by somebody who was interrupted, perhaps with events in its queues
            forget(contract, url, name_for(folder))
        shop = Shop(stock, folder=folder, amqp_url=url, hold_seconds=hold, saga=own)
        with shop, closing(Testbed(shop, fault, size, seed, broker)) as it:
            name = shop.name
            it.start(*it.services)
            yield it
        forget(contract, url, name)
    if not it.problems:
        shutil.rmtree(folder, ignore_errors=True)
