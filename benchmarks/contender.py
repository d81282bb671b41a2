"""What is measured: processes that carry out the saga, however they were written.

A contender is a command a service, told by environment variables where its broker is, where its
files go, and what its queues are called. It says that it is ready by writing `<service>-1.json`,
and may say in `<service>.done` how much it has done.
"""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from ecom.bus import declare, remove_topology
from ecom.errors import ShopError
from ecom.harness.postgres import Cluster
from ecom.settings import home
from ecom_lab.shop import CONTRACT, SERVICES

CUSTOMERS = ("shop", "place")  # processes that place orders; services may be their children
WARM_UP = 50  # orders before the clock starts
READY_SECONDS = 90.0
STOP_SECONDS = 20.0
LOOK_SECONDS = 0.01


class BenchFailed(ShopError):
    """A contender did not do its work; the text says which, and what its log ended with."""


class Bench(NamedTuple):
    """What is asked of each measurement: at which broker, and how much of it."""

    url: str
    orders: int  # in one run
    runs: int
    samples: int  # orders whose latency is taken

    def share(self, size: float) -> int:
        """So many times the orders of a run; one, at least."""
        return max(1, int(self.orders * size))


@dataclass(frozen=True)
class Contender:
    """How to run one. `place(run, n)` has n orders placed; `settle(run)` returns once all that are
    placed have run their course with all that they leave behind."""

    name: str
    command: Callable[[str], list[str]]  # by service
    place: Callable[[Any, int], None]
    settle: Callable[[Any], None]
    declares: bool = False  # no queues of its own: they are there before it
    environment: dict[str, str] = field(default_factory=dict)
    cwd: Path | None = None  # earlier checkouts find themselves where they are started
    processes: tuple[str, ...] = SERVICES
    server: Cluster | None = None  # of its databases; None: they are files
    size: float = 1.0  # of the orders of a run, how many it carries out
    begins: tuple[str, ...] = ()  # what a shop is told before them


class Run:
    """A contender at work, in a folder and with queues of its own: `with Run(contender, url)`."""

    def __init__(self, contender: Contender, url: str) -> None:
        self.contender, self.url = contender, url
        self.folder = Path(tempfile.mkdtemp(prefix="ecom-bench-"))
        self.shop = f"bench-{self.folder.name[-8:].replace('_', '-')}"
        self.placed = 0
        self.lines = 0  # that processes were told
        self.processes: dict[str, subprocess.Popen] = {}

    def __enter__(self) -> "Run":
        try:
            if self.contender.declares:
                declare(CONTRACT, self.url, self.shop)
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        if self.url:
            remove_topology(CONTRACT, self.url, self.shop)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self) -> None:
        told = {"ECOM_AMQP_URL": self.url, "ECOM_FOLDER": str(self.folder), "ECOM_SHOP": self.shop}
        if "ECOM_AMQP_URL" not in os.environ:
            told["ECOM_BENCH_PRIVATE"] = "yes"  # for the shop of any checkout
        if self.contender.server:
            told["ECOM_BENCH_DATABASE"] = self.contender.server.url
        for service in self.contender.processes:
            with open(self.folder / f"{service}.log", "ab") as log:
                self.processes[service] = subprocess.Popen(
                    self.contender.command(service),
                    env={**os.environ, **told, **self.contender.environment},
                    cwd=self.contender.cwd,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        notes = [self.folder / f"{name}-1.json" for name in self.processes]
        self.wait(lambda: sum(note.exists() for note in notes), len(notes), READY_SECONDS)

    def _stop(self) -> None:
        """Stop the processes, with their children, kindly at first."""
        for process in self.processes.values():
            process.stdin.close()
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def note(self, process: str) -> dict[str, Any]:
        """What a process wrote about itself."""
        return json.loads((self.folder / f"{process}-1.json").read_text())

    def tell(self, process: str, line: str) -> None:
        """Write a line to a process."""
        self.lines += 1
        pipe = self.processes[process].stdin
        pipe.write(f"{line}\n".encode())
        pipe.flush()

    def place(self, n: int) -> None:
        """Have n orders placed."""
        self.contender.place(self, n)
        self.placed += n

    def settle(self) -> None:
        """Wait until all orders have run their course."""
        self.contender.settle(self)

    def orders(self, n: int) -> float:
        """Have n orders placed and wait until all have run their course; the seconds it took."""
        begun = time.monotonic()
        self.place(n)
        self.settle()
        return time.monotonic() - begun

    def wait(self, progress: Callable[[], int], goal: int, patience: float = 60.0) -> None:
        """Until `progress()` reaches the goal. Raises `BenchFailed` when it stands still for more
        than `patience` seconds."""
        before, since = progress(), time.monotonic()
        while before < goal:
            time.sleep(LOOK_SECONDS)
            if dead := [name for name, it in self.processes.items() if it.poll() is not None]:
                raise BenchFailed(self._failed(f"{', '.join(dead)} ended"))
            if (now := progress()) != before:
                before, since = now, time.monotonic()
            elif time.monotonic() - since > patience:
                raise BenchFailed(self._failed(f"stands still at {before} of {goal}"))

    def done(self, process: str) -> int:
        """How much a process says that it has done."""
        path = self.folder / f"{process}.done"
        return int(path.read_text()) if path.exists() else 0

    def number(self, service: str, query: str) -> int:
        """The number that a query of a service's database gives; 0 while there is none."""
        with suppress(sqlite3.OperationalError):
            uri = f"file:{self.folder}/{service}.db?mode=ro"
            with closing(sqlite3.connect(uri, uri=True)) as database:
                return database.execute(query).fetchone()[0]
        return 0

    def cpu(self) -> float:
        """CPU seconds so far of the services, of the database server, and of the broker if it is
        ours. At the server each connection has a process; what ended ones have cost, it knows."""
        server = [psutil.Process(its.pid)] if (its := self.contender.server) else []
        connections = (child for it in server for child in it.children())
        now = sum(map(_cpu, (*self._services(), *_broker(), *server, *connections)))
        return now + sum(sum(it.cpu_times()[2:4]) for it in server)

    def peak_mib(self) -> float | None:
        """The most memory that the largest service has had resident, in MiB; None if unknown."""
        with suppress(OSError):
            statuses = [Path(f"/proc/{it.pid}/status").read_text() for it in self._services()]
            peaks = [int(text.partition("VmHWM:")[2].split()[0]) for text in statuses]
            return round(max(peaks) / 1024, 1)
        return None

    def _services(self) -> Iterator[psutil.Process]:
        """Their processes, with their children: some contenders work in these."""
        for name, process in self.processes.items():
            it = psutil.Process(process.pid)
            yield from (it,) if name not in CUSTOMERS else ()
            yield from it.children(recursive=True)

    def _failed(self, what: str) -> str:
        logs = {log.stem: log.read_text(errors="replace") for log in self.folder.glob("*.log")}
        tails = [f"--- {name}\n{text[-1500:]}" for name, text in logs.items() if text]
        return "\n".join([f"{self.contender.name}: {what}.", *tails])


def _cpu(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        return sum(process.cpu_times()[:2])
    return 0.0


def _broker() -> list[psutil.Process]:
    """The private broker's process, unless the broker is not ours to look at."""
    if "ECOM_AMQP_URL" in os.environ:
        return []
    return [psutil.Process(int((home() / "broker" / "node" / "running").read_text()))]


@contextmanager
def own_home() -> Iterator[None]:
    """Within it, `ECOM_HOME` is a new folder: whatever is leased or opened there is private, as a
    broker, with which goes what peers leave behind at it."""
    before = os.environ.get("ECOM_HOME")
    with tempfile.TemporaryDirectory(prefix="ecom-bench-", ignore_cleanup_errors=True) as folder:
        os.environ["ECOM_HOME"] = folder
        try:
            yield
        finally:
            del os.environ["ECOM_HOME"]
            os.environ |= {"ECOM_HOME": before} if before else {}
            # The keeper stops the node once the last lease is gone.
            running, deadline = Path(folder, "broker/node/running"), time.monotonic() + 30
            while running.exists() and time.monotonic() < deadline:
                time.sleep(0.05)
