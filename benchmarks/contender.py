"""What is measured: five processes that carry out the saga, however they were written.

A contender is a command a service, told by environment variables where its broker is, where its
files go, and what its queues are called. It says that it is ready by writing `<service>-1.json`.
"""

import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.meter import broker_pids, cpu_seconds, peak_mib
from ecom.bus import remove_topology
from ecom_lab.shop import CONTRACT, SERVICES

READY_SECONDS = 90.0
STALLED_SECONDS = 60.0  # without any progress for so long, a run has failed
LOOK_SECONDS = 0.02


class BenchFailed(Exception):
    """A contender did not do its work; the text says which, and what its log ended with."""


@dataclass(frozen=True)
class Contender:
    """How to run one.

    `place(run, n)` has n orders accepted, and returns when the first was (epoch seconds);
    `settled(run)` tells how many orders have run their course with all that they leave behind.
    """

    name: str
    command: Callable[[str], list[str]]  # by service
    prepare: Callable[[Any], None]
    place: Callable[[Any, int], float]
    settled: Callable[[Any], int]
    environment: dict[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    processes: tuple[str, ...] = SERVICES


class Run:
    """A contender at work, in a folder and with queues of its own: `with Run(contender, url)`."""

    def __init__(self, contender: Contender, url: str) -> None:
        self.contender, self.url = contender, url
        self.folder = Path(tempfile.mkdtemp(prefix="ecom-bench-"))
        self.shop = f"bench-{self.folder.name[-8:].replace('_', '-')}"
        self.placed = 0
        self.processes: dict[str, subprocess.Popen] = {}

    def __enter__(self) -> "Run":
        try:
            self.contender.prepare(self)
            self.start(*self.contender.processes)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(*self.processes)
        remove_topology(CONTRACT, self.url, self.shop)
        shutil.rmtree(self.folder, ignore_errors=True)

    def environ(self, replica: str = "1") -> dict[str, str]:
        """What each process is told."""
        mine = {"ECOM_AMQP_URL": self.url, "ECOM_FOLDER": str(self.folder), "ECOM_SHOP": self.shop,
                "ECOM_REPLICA": replica}  # fmt: skip
        return {**os.environ, **mine, **self.contender.environment}

    def start(self, *services: str, replica: str = "1") -> None:
        """Start processes and wait until each is ready. Raises `BenchFailed`."""
        for service in services:
            with open(self.folder / f"{service}.log", "ab") as log:
                self.processes[f"{service}-{replica}"] = subprocess.Popen(
                    self.contender.command(service), env=self.environ(replica),
                    cwd=self.contender.cwd, stdin=subprocess.PIPE, stdout=log, stderr=log,
                    start_new_session=True,
                )  # fmt: skip
        notes = [self.folder / f"{service}-{replica}.json" for service in services]
        self.wait(lambda: sum(note.exists() for note in notes), len(notes), READY_SECONDS)

    def stop(self, *names: str) -> None:
        """Stop processes, with their children, kindly at first."""
        stopping = {name: self.processes.pop(name) for name in names if name in self.processes}
        for process in stopping.values():
            process.stdin.close()
            process.send_signal(signal.SIGTERM)
        for name, process in stopping.items():
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            (self.folder / f"{name}.json").unlink(missing_ok=True)

    def orders(self, n: int) -> float:
        """Have n orders placed and wait until all have run their course; the seconds it took."""
        begun = self.contender.place(self, n)
        self.placed += n
        self.wait(lambda: self.contender.settled(self), self.placed)
        return time.time() - begun

    def wait(
        self, progress: Callable[[], int], goal: int, patience: float = STALLED_SECONDS
    ) -> None:
        """Until `progress()` reaches the goal. Raises `BenchFailed` when it stands still."""
        before, since = progress(), time.monotonic()
        while before < goal:
            time.sleep(LOOK_SECONDS)
            if dead := [name for name, it in self.processes.items() if it.poll() is not None]:
                raise BenchFailed(self._failed(f"{', '.join(dead)} ended"))
            if (now := progress()) != before:
                before, since = now, time.monotonic()
            elif time.monotonic() - since > patience:
                raise BenchFailed(self._failed(f"stands still at {before} of {goal}"))

    def cpu(self) -> float | None:
        """CPU seconds so far of all processes and the broker, if it is ours."""
        pids = [pid for process in self.processes.values() for pid in _family(process.pid)]
        return cpu_seconds([*pids, *broker_pids()])

    def memory(self) -> dict[str, float | None]:
        """Peak memory of each process, MiB."""
        return {name: peak_mib(process.pid) for name, process in self.processes.items()}

    def tally(self, service: str, name: str) -> int:
        """How far one of our own services has counted."""
        with closing(sqlite3.connect(f"file:{self.folder}/{service}.db?mode=ro", uri=True)) as db:
            row = db.execute("SELECT value FROM counters WHERE name = ?", (name,)).fetchone()
        return row[0] if row else 0

    def _failed(self, what: str) -> str:
        logs = {log.stem: log.read_text(errors="replace") for log in self.folder.glob("*.log")}
        tails = [f"--- {name}\n{text[-1500:]}" for name, text in logs.items() if text]
        return "\n".join([f"{self.contender.name}: {what}.", *tails])


def _family(pid: int) -> list[int]:
    """A process and its descendants: some contenders work in children."""
    with suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *(each for child in children for each in _family(int(child)))]
    return [pid]
