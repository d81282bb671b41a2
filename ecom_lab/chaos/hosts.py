"""Hosts on this machine, each with a network and processes of its own: Linux's namespaces.

These have no names: the kernel removes them, and their links, with the last process in them; and
those end with us, however we end.
"""

import ctypes
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen

import psutil

from ecom.harness.postgres import NoPostgres, find_postgres

LINES = ("front", "back")  # for messages and HTTP; for databases
START_SECONDS = 180.0
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET


def lack() -> str:
    """Why there can be no hosts here, if there can be none."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "only root on Linux can make hosts of namespaces"
    programs = ("ip", "tc", "unshare", "nsenter", "setpriv")
    if missing := [it for it in programs if shutil.which(it) is None]:
        return f"{missing[0]} is not installed (iproute2, util-linux)"
    trial = ["unshare", "--net", "--pid", "--fork", "true"]
    if subprocess.run(trial, stderr=DEVNULL).returncode:
        return "namespaces cannot be made here"
    try:
        find_postgres()
    except NoPostgres:
        return "there is no PostgreSQL"
    return ""


def address(host: int, line: str = "front") -> str:
    """Where a host is reached over this line."""
    return f"10.0.{LINES.index(line)}.{host}"


@contextmanager
def apart() -> Iterator[tuple[str, None]]:
    """This thread, and those that it starts, in a network of their own: a switch for each line."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net") as before:
        if libc.unshare(_NEW_NETWORK):
            raise OSError(ctypes.get_errno(), "no network of our own")
        try:
            for n, line in enumerate(LINES):
                _ip(f"link add {line} address 02:00:00:00:0{n}:fe type bridge")
                _ip(f"address add {address(254, line)}/24 dev {line}")
                _ip(f"link set {line} up")
            yield f"amqp://ecom:{secrets.token_hex(16)}@{address(1)}:5672/%2F", None
        finally:
            libc.setns(before.fileno(), _NEW_NETWORK)


def _ip(words: str, *inside: str) -> None:
    subprocess.run([*inside, "ip", *words.split()], check=True)


class Host:
    """A machine: what is started on it ends with it, and with us; its folder stays."""

    def __init__(self, number: int, folder: Path) -> None:
        self.number, self.folder = number, folder
        folder.mkdir(parents=True)
        self.boot()

    def boot(self) -> None:
        """Switch it on; nothing runs there."""
        command = ["unshare", "--net", "--pid", "--fork", "--mount-proc", "sh", "-c"]
        # Its first process ends when nobody can write to it any more, and with it all others.
        self._first = Popen([*command, "echo; exec cat"], stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
        self._first.stdout.read(1)
        (first,) = psutil.Process(self._first.pid).children()
        self._inside = ["nsenter", f"--target={first.pid}", "--net", "--pid", "--mount"]
        self._running: list[Popen[bytes]] = []
        for n, line in enumerate(LINES):
            mac = f"02:00:00:00:0{n}:0{self.number}"
            far = f"peer name {line} address {mac} netns {first.pid}"
            _ip(f"link add {line}-{self.number} type veth {far}")
            _ip(f"link set {line}-{self.number} master {line} up")
            _ip(f"address add {address(self.number, line)}/24 dev {line}", *self._inside)
            _ip(f"link set {line} up", *self._inside)
        _ip("link set lo up", *self._inside)

    def run(
        self, *command: str | Path, log: str, told: Mapping[str, str] | None = None
    ) -> Popen[bytes]:
        """Start a process on it, with this environment, whose output goes to a file."""
        with open(self.folder / log, "ab") as output:
            whole, files = [*self._inside, *command], {"stdout": output, "stderr": output}
            it = Popen(whole, env=told, cwd="/", stdin=DEVNULL, **files)
        self._running.append(it)
        return it

    def call(self, *command: str | Path, told: Mapping[str, str] | None = None) -> None:
        """The same, to its end, which is to be a good one. Raises `CalledProcessError`."""
        if status := self.run(*command, log="calls.log", told=told).wait(START_SECONDS):
            raise subprocess.CalledProcessError(status, list(map(str, command)))

    def kill(self) -> None:
        """As in a power cut: SIGKILL to every process on it."""
        if self._first.poll() is None:
            for each in psutil.Process(self._first.pid).children():
                each.kill()
        self._first.communicate()
        for it in self._running:
            it.wait()
        for line in LINES:
            gone = ["ip", "link", "delete", f"{line}-{self.number}"]  # with its other end, or now
            subprocess.run(gone, stderr=DEVNULL, check=False)

    def cut(self, *lines: str) -> None:
        """Pull these plugs."""
        for line in lines:
            _ip(f"link set {line}-{self.number} down")

    def mend(self) -> None:
        """Put them in again, and let all be as fast as ever."""
        for line in LINES:
            _ip(f"link set {line}-{self.number} up")
            self._shape(line, "noqueue")

    def slow(self, rate: str) -> None:
        """Let no more pass than so much, such as 1mbit, to it and from it; the rest waits."""
        for line in LINES:
            self._shape(line, f"tbf rate {rate} burst 16kb latency 1s")

    def _shape(self, line: str, how: str) -> None:
        for end, inside in (f"{line}-{self.number}", []), (line, self._inside):
            command = [*inside, "tc", "qdisc", "replace", "dev", end, "root", *how.split()]
            subprocess.run(command, check=True)
