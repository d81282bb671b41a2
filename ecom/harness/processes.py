"""The operating-system processes of one shop: started, watched, killed.

None outlives the process that started it (see `ecom.process.child`). Each holds the shop's lock as
long as it lives, so a free lock means that no process is left.
"""

import json
import os
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from ecom.errors import ServiceDied, ServiceDown, ShopError
from ecom.process import child
from ecom.process.child import Child
from ecom.process.fork_server import how
from ecom.settings import one_of, private, shown

Member = tuple[str, str]  # service, replica

START_SECONDS = 120.0  # about one on an idle machine; a machine may be busy, a broker booting
STOP_SECONDS = 10.0


class Program(NamedTuple):
    """What the processes of one service run; see `ecom.process.child.start`."""

    target: str
    arguments: tuple[Any, ...] = ()
    imports: tuple[str, ...] = ()
    secrets: Mapping[str, str] = {}  # of its environment, what no other service's process has


class Processes:
    """The processes of the shop in `folder`: which program each service runs, and the environment
    that all of them have besides ours. `lock` is a descriptor of the shop's lock."""

    def __init__(
        self,
        folder: Path,
        programs: Mapping[str, Program],
        environment: Mapping[str, str],
        lock: int,
    ) -> None:
        self._folder, self._programs = folder, programs
        self._environment, self._lock = environment, lock
        self._children: dict[Member, Child] = {}
        self._killed: set[Child] = set()  # here, and so not by themselves

    def member(self, service: str, replica: str = "1") -> Member:
        """One of its processes. Raises `ShopError` if no service is called so."""
        one_of("service", service, self._programs)
        if not re.fullmatch("[A-Za-z0-9]{1,20}", str(replica)):  # a part of its files' names
            raise ShopError(
                f"A replica's name is 1 to 20 letters and digits, not {shown(replica)}."
            )
        return service, str(replica)

    def start(self, *members: Member, target: str = "", extra: Mapping[str, str] = {}) -> None:
        """Start those that are not running, all at once, and wait until each is ready.

        `target` is to be called, for once, instead of the usual one; `extra` is more environment.
        Raises `ServiceDied` if one ends instead or takes longer than `START_SECONDS`.
        """
        starting = [member for member in members if not self.is_alive(member)]
        # Those first for which nothing is to be loaded any more.
        for member in sorted(starting, key=lambda it: len(self._programs[it[0]].imports)):
            self._spawn(member, target, extra)
        deadline = time.monotonic() + START_SECONDS
        for member in starting:
            self._await_ready(member, deadline)

    def kill(self, member: Member) -> None:
        """SIGKILL. Returns when the process has ended. Raises `ServiceDown`."""
        if not self.is_alive(member):
            raise ServiceDown(f"{name(member)} is not running, so it cannot be killed.")
        process = self._children[member]
        self._killed.add(process)
        process.kill()
        process.wait()

    def stop(self) -> None:
        """Stop all of them with SIGTERM, then with SIGKILL those that take over `STOP_SECONDS`."""
        for process in self._children.values():
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in self._children.values():
            with suppress(TimeoutError):
                process.wait(max(0.0, deadline - time.monotonic()))
            process.kill()
            process.wait()
        self._children.clear()

    def check(self) -> None:
        """Raise `ServiceDied` if a process has ended that was not killed here."""
        for member in self._dead():
            raise ServiceDied(self._why_ended(member))

    def revive(self, tell: Callable[[str], object]) -> None:
        """Start those again that have ended by themselves, and `tell` why each ended."""
        dead = self._dead()
        for member in dead:
            tell(self._why_ended(member, "it is started again"))
        self.start(*dead)

    def _dead(self) -> list[Member]:
        # A child that is not alive was put among the killed before that, if at all: other threads
        # may kill and start while this one looks.
        ended = [it for it in self._children.items() if it[1].poll() is not None]
        return [member for member, process in ended if process not in self._killed]

    def is_alive(self, member: Member) -> bool:
        """Whether this process is running."""
        return member in self._children and self.status(member) is None

    def status(self, member: Member) -> int | None:
        """The exit status of a process, below 0 if a signal ended it; None while it runs."""
        return self._children[member].poll()

    def _running(self, service: str) -> list[Member]:
        return [it for it in self._children if it[0] == service and self.is_alive(it)]

    def alive(self) -> list[str]:
        """The names of those running, in the order of their programs."""
        return [name(member) for service in self._programs for member in self._running(service)]

    def missing(self) -> list[str]:
        """One sentence about each service that no process runs."""
        started = {service for service, _ in self._children}
        down = [it for it in self._programs if it in started and not self._running(it)]
        return [f"{service} is down (start it with start({service!r}))" for service in down]

    def note(self, service: str) -> dict[str, Any]:
        """The note of a process of this service that is ready. Raises `ServiceDown`."""
        for member in self._running(service):
            with suppress(FileNotFoundError):  # it has just been started
                return read_note(self._folder, member)
        raise ServiceDown(
            f"The {service} service is not running; start it with start({service!r})."
        )

    def _spawn(self, member: Member, target: str = "", extra: Mapping[str, str] = {}) -> None:
        service, replica = member
        program = self._programs[service]
        # Of secrets its own only: none that we have, or that another program has.
        secret = {name for each in self._programs.values() for name in each.secrets}
        told = {name: value for name, value in os.environ.items() if name not in secret}
        told |= {**self._environment, **program.secrets, "ECOM_REPLICA": replica, **extra}
        note_file(self._folder, member).unlink(missing_ok=True)
        with open(log_file(self._folder, member), "ab", opener=private) as log:
            self._children[member] = child.start(
                target or program.target,
                *program.arguments,
                log=log,
                name=name(member),
                environment=told,
                imports=program.imports,
                keep=[self._lock],
            )

    def _await_ready(self, member: Member, deadline: float) -> None:
        while not note_file(self._folder, member).exists():
            if not self.is_alive(member):
                raise ServiceDied(self._why_ended(member))
            if time.monotonic() > deadline:
                late = f"{name(member)} was not ready in time."
                raise ServiceDied(f"{late} {self._end_of_log(member)}")
            time.sleep(0.01)

    def _why_ended(self, member: Member, then: str = "") -> str:
        ended = how(self._children[member].wait())
        then = then or f"start it again with start({member[0]!r})"
        words = f"{name(member)} ended {ended}, though nobody asked it to; {then}."
        return f"{words} {self._end_of_log(member)}"

    def _end_of_log(self, member: Member) -> str:
        lines = log_file(self._folder, member).read_text(errors="replace").splitlines()[-12:]
        tail = "\n".join(f"    {line}" for line in lines)
        return f"The end of its log:\n{tail}" if tail else "Its log is empty."


def name(member: Member) -> str:
    """The name of a process: `payment`, or `payment-2` for a further replica."""
    service, replica = member
    return service if replica == "1" else f"{service}-{replica}"


def note_file(folder: Path, member: Member) -> Path:
    """Where a process writes its pid (and address) once it is ready."""
    return folder / "{}-{}.json".format(*member)


def log_file(folder: Path, member: Member) -> Path:
    """Where a process's output goes."""
    return folder / "{}-{}.log".format(*member)


def read_note(folder: Path, member: Member) -> dict[str, Any]:
    """What the process wrote about itself: service, replica, pid and, for order, http."""
    return json.loads(note_file(folder, member).read_text())
