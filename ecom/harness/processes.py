"""The operating-system processes of one shop: started, watched, killed.

None outlives the process that holds the crew: each service reads from a pipe whose other end is
ours, and stops when that end is closed, which the kernel does however we die.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from ecom.errors import ServiceDied, ServiceDown, ShopError
from ecom.sandbox.standins import STANDINS

Member = tuple[str, str]  # service, replica

EMPTY: Mapping[str, str] = {}
SECRETS = ("ECOM_AMQP_URL", "ECOM_HTTP_TOKEN")  # no process is told another's, or inherits ours
START_SECONDS = 30.0
STOP_SECONDS = 10.0


class Crew:
    """The service processes of the shop in `folder`; `environment` is what all of them are told,
    `urls`, by service, where each finds the broker, and as whom, and `token` what the door asks."""

    def __init__(
        self, folder: Path, environment: Mapping[str, str], lock: int,
        urls: Mapping[str, str] = EMPTY, token: str = "",
    ) -> None:  # fmt: skip
        self._folder = folder
        self._environment = environment
        self._urls = urls
        self._token = token
        self._lock = lock  # a child holds the shop's lock too: free means that nobody is left
        self._processes: dict[Member, subprocess.Popen] = {}
        self._killed: set[Member] = set()

    def start(self, *members: Member, module: str = "", told: Mapping[str, str] = EMPTY) -> None:
        """Start those that are not running, all at once, and wait until each is ready.

        `module` is a stand-in to run, for once, for the usual one; `told` is more environment.
        Raises `ServiceDied` if one ends instead or takes longer than `START_SECONDS`.
        """
        starting = [member for member in members if not self.is_alive(member)]
        for member in starting:
            self._spawn(member, module or _module(member[0]), told)
        deadline = time.monotonic() + START_SECONDS
        for member in starting:
            self._await_ready(member, deadline)

    def kill(self, member: Member) -> None:
        """SIGKILL: no goodbye. Returns when the process is gone. Raises `ServiceDown`."""
        if not self.is_alive(member):
            raise ServiceDown(f"{name(member)} is not running, so it cannot be killed.")
        self._killed.add(member)
        self._processes[member].kill()
        self._processes[member].wait()

    def stop(self) -> None:
        """Stop all of them cleanly, whoever does not stop within `STOP_SECONDS` with SIGKILL."""
        for process in self._processes.values():
            process.stdin.close()
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for process in self._processes.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

    def check(self) -> None:
        """Raise `ServiceDied` if a process has ended that nobody killed."""
        for member in self._dead():
            raise ServiceDied(self._obituary(member))

    def revive(self, tell: Callable[[str], object]) -> None:
        """Start those again that have ended unasked, once their obituaries are told."""
        dead = self._dead()
        for member in dead:
            tell(self._obituary(member))
        self.start(*dead)

    def _dead(self) -> list[Member]:
        return [member for member, process in self._processes.items()
                if process.poll() is not None and member not in self._killed]  # fmt: skip

    def is_alive(self, member: Member) -> bool:
        """Whether this process is running."""
        process = self._processes.get(member)
        return process is not None and process.poll() is None

    def status(self, member: Member) -> int | None:
        """The exit status of a process, below 0 if a signal ended it; None while it runs."""
        return self._processes[member].poll()

    def alive(self) -> list[str]:
        """The names of those running, in the order in which they were started."""
        return [name(member) for member in self._processes if self.is_alive(member)]

    def missing(self) -> list[str]:
        """One sentence about each service that no process runs."""
        services = dict.fromkeys(service for service, _ in self._processes)
        running = {service for service, replica in self._processes
                   if self.is_alive((service, replica))}  # fmt: skip
        return [
            f"{service} is down (start it with shop.start({service!r}))"
            for service in services
            if service not in running
        ]

    def url(self) -> str:
        """Where the order service listens. Raises `ServiceDown` if it is not running."""
        for member in self._processes:
            if member[0] == "order" and self.is_alive(member):
                return read_note(self._folder, member)["http"]
        raise ServiceDown("The order service is not running; start it with shop.start('order').")

    def broker_url(self, service: str) -> str:
        """Where this service finds the broker, and as whom: its password is in it. Raises
        `KeyError` for who has no business there."""
        return self._urls[service]

    def _spawn(self, member: Member, module: str, told: Mapping[str, str]) -> None:
        service, replica = member
        note_file(self._folder, member).unlink(missing_ok=True)
        self._killed.discard(member)
        if member in self._processes:
            self._processes[member].stdin.close()
        with open(log_file(self._folder, member), "ab") as log:
            self._processes[member] = subprocess.Popen(
                [sys.executable, "-m", module, service],
                env={**self._told(service), "ECOM_REPLICA": replica, **told},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=[self._lock],
                start_new_session=True,  # Ctrl-C is for us; we tell the services
            )

    def _told(self, service: str) -> dict[str, str]:
        """The environment of a service's processes, with such secrets only as are its own."""
        told = {name: value for name, value in os.environ.items() if name not in SECRETS}
        told |= self._environment
        if service in self._urls:
            told["ECOM_AMQP_URL"] = self._urls[service]
        if service == "order":
            told["ECOM_HTTP_TOKEN"] = self._token
        return told

    def _await_ready(self, member: Member, deadline: float) -> None:
        while not note_file(self._folder, member).exists():
            if self._processes[member].poll() is not None:
                raise ServiceDied(self._obituary(member))
            if time.monotonic() > deadline:
                words = self._last_words(member)
                raise ServiceDied(f"{name(member)} was not ready in time. {words}")
            time.sleep(0.01)

    def _obituary(self, member: Member) -> str:
        status = self._processes[member].returncode
        how = f"by {signal.Signals(-status).name}" if status < 0 else f"with exit status {status}"
        return (
            f"{name(member)} ended {how}, though nobody asked it to; "
            f"start it again with shop.start({member[0]!r}). {self._last_words(member)}"
        )

    def _last_words(self, member: Member, lines: int = 12) -> str:
        text = log_file(self._folder, member).read_text(errors="replace")
        tail = "\n".join(f"    {line}" for line in text.splitlines()[-lines:])
        return f"The end of its log:\n{tail}" if tail else "Its log is empty."


def _module(service: str) -> str:
    return "ecom.sandbox" if service in STANDINS else "ecom.serve"


def member_named(service: str, replica: str, users: Iterable[str]) -> Member:
    """A process of a shop. Raises `ShopError` if no service and no stand-in is called so."""
    if service not in (known := (*users, *STANDINS)):
        raise ShopError(f"There is no service {service!r}: choose of {', '.join(known)}.")
    return service, replica


def name(member: Member) -> str:
    """How we speak of a process: `payment`, or `payment-2` for a further replica."""
    service, replica = member
    return service if replica == "1" else f"{service}-{replica}"


def note_file(folder: Path, member: Member) -> Path:
    """Where a process writes its pid (and address) once it is ready."""
    return folder / "{}-{}.json".format(*member)


def log_file(folder: Path, member: Member) -> Path:
    """Where a process's output goes."""
    return folder / "{}-{}.log".format(*member)


def read_note(folder: Path, member: Member) -> dict:
    """What the process wrote about itself: service, replica, pid and, for order, http."""
    return json.loads(note_file(folder, member).read_text())
