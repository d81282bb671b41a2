"""Where a fault is played: an open saga, those who ask it, and hands on its processes; and to play
one there."""

import logging
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from random import Random
from typing import Any

import pika
import psutil
from pika.adapters.blocking_connection import BlockingChannel

from ecom.amqp.address import parameters
from ecom.errors import NotSettled, ServiceDied, ShopError
from ecom.harness.postgres import Cluster
from ecom.harness.processes import Processes, read_note
from ecom.harness.runner import Runner
from ecom.harness.tenancy import forget
from ecom.harness.workspace import name_for
from ecom.settings import home
from ecom_lab.chaos.fault import SHOP, Fault, Injection, Size
from ecom_lab.chaos.verdict import HarnessFailed, Verdict

TRIES = 3
ENOUGH = 10  # strikes; fewer may all miss by chance
REST_SECONDS = 60.0  # from the last fault until all is quiet
ANSWER_SECONDS = 120.0  # after the faults, until the next customer has been answered

log = logging.getLogger("ecom.chaos")

Strike = Callable[["Testbed"], str]  # says what it did


class Testbed:
    """One saga under one fault. `broker` and `database`, which is None if services have their rows
    in files, are what the fault may lay hands on besides."""

    def __init__(
        self, runner: Any, fault: Fault, size: Size, seed: int, broker: Any, database: Any
    ) -> None:
        self.runner, self.broker, self.database = runner, broker, database
        self.processes: Processes = runner.processes
        self.trial, self.is_shop = fault.trial, fault.trial is SHOP
        self.orders, self.rounds, self.seconds = size
        self.hold_seconds = fault.hold_seconds
        self.contract = runner.saga.contract
        self.services = self.contract.services
        self.replicas = [str(n) for n in range(1, fault.replicas + 1)]
        self.random = Random(seed + 1)  # not the customers' own
        self.problems: list[str] = []  # promises that were broken on the way
        self.workload = fault.trial.workload(runner, fault, size, seed)

    def start(self, *services: str) -> None:
        """Start all replicas of these services, but for those that run."""
        self.processes.start(*((each, replica) for each in services for replica in self.replicas))

    def kill(self, service: str) -> None:
        """SIGKILL all replicas of a service."""
        for replica in self.replicas:
            self.runner.kill(service, replica)

    def leave(self, service: str) -> None:
        """Have a service end cleanly. Raises `HarnessFailed` if it does not."""
        os.kill(self.pid(service), signal.SIGTERM)
        wait_for(lambda: not self.processes.is_alive((service, "1")), 20, f"{service} to end")

    def pid(self, service: str, replica: str = "1") -> int:
        """The process id of a service's replica."""
        return read_note(self.runner.folder, (service, replica))["pid"]

    def memory(self, service: str) -> int:
        """Bytes of memory that a service has in use."""
        return psutil.Process(self.pid(service)).memory_info().rss

    @contextmanager
    def channel(self) -> Iterator[BlockingChannel]:
        """A channel to the broker, of an operator who may do everything."""
        with closing(pika.BlockingConnection(parameters(self.runner.amqp_url))) as connection:
            yield connection.channel()

    def burst(self, parts: int = 2) -> None:
        """One of `parts` of a round's customers come, and a moment passes: the shop is busy now."""
        self.workload.release(-(-self.orders // (self.rounds * parts)))
        self.wait(0.0, 0.1)

    def wait(self, least: float, most: float) -> None:
        """Let a random time pass, in seconds."""
        time.sleep(self.random.uniform(least, most))

    def endure(self, least: float, most: float) -> None:
        """Customers come while a fault lasts: for a random time, in seconds."""
        self.burst()
        self.wait(least, most)


@contextmanager
def frozen(pid: int) -> Iterator[list[psutil.Process]]:
    """A process and all that it has started, first it, are stopped meanwhile, and then go on."""
    first = psutil.Process(pid)
    first.suspend()
    processes = [*first.children(recursive=True), first]
    try:
        for each in processes:
            with suppress(psutil.NoSuchProcess):  # it has just ended
                each.suspend()
        yield processes
    finally:
        for each in processes:
            with suppress(psutil.NoSuchProcess):
                each.resume()


def wait_for(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Wait until a condition holds. Raises `HarnessFailed`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise HarnessFailed(f"waited {seconds:g} s in vain for {what}")
        time.sleep(0.01)


@contextmanager
def testbed(fault: Fault, size: Size, seed: int) -> Iterator[Testbed]:
    """An open saga in a folder of its own, which stays to be looked into if something was amiss."""
    folder = home() / "chaos" / f"{fault.name}-{seed}"
    left = folder.exists()
    shutil.rmtree(folder, ignore_errors=True)
    with (
        fault.environment() as (url, broker),
        Cluster() if fault.database == "postgres" else nullcontext() as database,
    ):
        rows = database.url if database else "files"
        runner = fault.trial.runner(fault, size, folder=folder, amqp_url=url, database=rows)
        queues = runner.saga.contract, url, name_for(folder)
        are_lasting = isinstance(runner, Runner)  # else their broker begins and ends with it
        if left and are_lasting:  # by somebody who was interrupted, perhaps with events in them
            forget(*queues)
        with runner:
            it = Testbed(runner, fault, size, seed, broker, database)
            with closing(it.workload):
                it.start(*it.services)
                yield it
        if are_lasting:
            forget(*queues)
        if it.problems and database:
            database.stop()
            shutil.copytree(database.folder / "data", folder / "postgres")
    if not it.problems:
        shutil.rmtree(folder, ignore_errors=True)


def salvo(
    *strikes: Strike, gap: tuple[float, float] = (0.0, 0.1), in_turn: bool = False
) -> Injection:
    """One of `strikes` a round, by chance or `in_turn`, amid a burst of orders; then a wait of
    `gap` seconds."""

    def inject(bed: Testbed) -> Iterator[str]:
        for turn in range(bed.rounds):
            bed.burst()
            strike = strikes[turn % len(strikes)] if in_turn else bed.random.choice(strikes)
            yield strike(bed)
            bed.wait(*gap)

    return inject


def play(fault: Fault, size: Size, seed: int, tick: Callable[[], Any] = lambda: None) -> Verdict:
    """Strike, let all come to rest, count: the verdict. `tick` is called after each strike.

    An experiment that did not work is repeated, which is logged; a violation never is. Raises
    `HarnessFailed` when it did not work `TRIES` times, `ShopError` for what cannot be played.
    """
    if why := fault.not_here:
        raise ShopError(f"{fault.name} is not played: {why}.")
    for _ in range(TRIES - 1):
        try:
            return attempt(fault, size, seed, tick)
        except HarnessFailed as error:
            log.warning("The experiment failed, not the shop; once more: %s", error)
    return attempt(fault, size, seed, tick)


def attempt(fault: Fault, size: Size, seed: int, tick: Callable[[], Any]) -> Verdict:
    """The same, once."""
    begun, kinds = time.monotonic(), Counter()
    with testbed(fault, size, seed) as it:
        try:
            for struck in fault.inject(it):
                kinds[struck] += 1
                tick()
            it.workload.finish(ANSWER_SECONDS)
            it.runner.settle(REST_SECONDS)
        except (NotSettled, ServiceDied) as error:
            it.problems.append(str(error))
        struck = {"kinds": dict(kinds), "seconds": round(time.monotonic() - begun, 1)}
        books, counts = fault.trial.judge(it.runner, it.workload)
        if it.problems:
            books = "off: " + "; ".join([*it.problems, books.removeprefix("off: ")])
        counts["attempted"] = len(it.workload.attempted)
        counts["acknowledged"] = len(it.workload.acknowledged)
        verdict = Verdict(fault.name, seed, kinds.total(), **counts, books=books, **struck)
        it.problems += verdict.violations
    enough = verdict.injected >= ENOUGH
    if fault.bites and enough and not verdict.violations and not verdict.duplicate_deliveries:
        raise HarnessFailed(
            f"{fault.name}: {verdict.injected} faults, and none hit anything; try more --orders"
        )
    return verdict
