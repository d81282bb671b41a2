"""One private RabbitMQ node in a folder of its own: rootless, on the loopback only."""

import json
import os
import random
import re
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

from ecom.broker import installation
from ecom.broker.installation import BrokerUnavailable, find_rabbitmq
from ecom.settings import write_private

START_SECONDS = 90.0  # a boot takes 4 to 7 s on an idle machine
STOP_SECONDS = 30.0
# Ports of the loopback, below those that systems give to outgoing connections: one of them could
# take a port between our choice and the node's start, a few seconds later.
PORTS = range(20_000, 32_000)
CONFIGURATION = Path(__file__).with_name("rabbitmq.conf")  # its options are there
FILES = {  # that it reads besides
    "rabbitmq-env.conf": "",
    "enabled_plugins": "[rabbitmq_management].",
    # Erlang's own resolver fails where a bare machine has no /etc/hosts.
    "inetrc": '{host, {127,0,0,1}, ["localhost"]}.\n{lookup, [file, native]}.\n',
}

# An error in RabbitMQ's log, but not the deeply indented report of the crash that follows it.
TELLING = re.compile(r"\[(error|warning)\] <[\d.]+> {0,2}\S")


class Node:
    """A RabbitMQ node whose whole state (users, queues, messages, ports) lives in `folder`.

    It survives `stop` and `kill`: started again in the same folder, by this process or another, it
    has the same URL (unless somebody took the port meanwhile) and the same durable messages.
    `config` holds further lines in the format of `rabbitmq.conf`. A folder has one node at a time.
    Before its first start, what says where it is raises `FileNotFoundError`.
    """

    def __init__(self, folder: Path, name: str = "ecom", config: str = "") -> None:
        self.folder, self.name, self.config = Path(folder).absolute(), name, config
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The AMQP URL, password included."""
        identity = self._identity()
        return f"amqp://ecom:{identity['password']}@127.0.0.1:{identity['ports']['amqp']}/%2F"

    @property
    def http(self) -> dict[str, Any]:
        """Where its HTTP interface is, and as whom one asks there: see `management.ask`."""
        identity = self._identity()
        address = f"http://127.0.0.1:{identity['ports']['http']}/api"
        return {"base_url": address, "auth": ("ecom", identity["password"])}

    def start(self) -> None:
        """Return once the node serves clients; at once if it runs already. Raises
        `BrokerUnavailable`, and leaves nothing."""
        if self.alive():
            return
        scripts = find_rabbitmq()
        installation.check_data(self.folder, installation.version(scripts))
        self._furnish()
        with (self.folder / "console.log").open("wb") as console:
            self._process = subprocess.Popen(
                [scripts / "rabbitmq-server"],
                env=self._environment(),
                cwd=self.folder,
                stdin=DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        write_private(self.folder / "running", str(self._process.pid))
        try:
            self._await_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the node and its epmd, cleanly if it can; whoever started it. Harmless if none."""
        if pid := self._pid():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            _wait(lambda: not self.alive(), STOP_SECONDS)
        self.kill()
        with suppress(FileNotFoundError, BrokerUnavailable):  # never started; uninstalled
            self._end_epmd()

    def kill(self) -> None:
        """End the node as a power cut would; its epmd stays, for the next start or for `stop`."""
        self.signal(signal.SIGKILL)
        _wait(lambda: not self.alive(), STOP_SECONDS)
        (self.folder / "running").unlink(missing_ok=True)
        self._process = None

    def control(self, *command: str) -> str:
        """What `rabbitmqctl` says to this command. Raises `CalledProcessError` if it fails."""
        whole = [find_rabbitmq() / "rabbitmqctl", "--quiet", *command]
        told = {"env": self._environment(), "capture_output": True, "text": True}
        return subprocess.run(whole, check=True, **told).stdout

    def signal(self, number: int) -> None:
        """Send a signal to the node and all its helpers, if it lives."""
        if pid := self._pid():
            with suppress(ProcessLookupError):
                os.killpg(pid, number)

    def alive(self) -> bool:
        """Whether the node's process exists (not: whether it serves clients already)."""
        return self._pid() is not None

    def _pid(self) -> int | None:
        """The node's process id, which is its group's too: our child's, else the recorded one."""
        if self._process:
            return self._process.pid if self._process.poll() is None else None
        with suppress(FileNotFoundError, ValueError):
            pid = int((self.folder / "running").read_text())
            return pid if self._identity()["mark"] in _command_line(pid) else None
        return None

    def _end_epmd(self) -> None:
        """epmd outlives every node, and leaves only once it has noticed that none is left."""
        port, environ = self._identity()["ports"]["epmd"], self._environment()

        def gone() -> bool:
            if is_epmd(port):
                subprocess.run(["epmd", "-kill"], env=environ, stdout=DEVNULL, stderr=DEVNULL)
            return not is_epmd(port)

        _wait(gone, 5.0)

    def _environment(self) -> dict[str, str]:
        known, scripts = self._identity(), find_rabbitmq()
        where = scripts, self.folder, self.name
        return installation.environment(*where, known["ports"], known["mark"])

    def _identity(self) -> dict[str, Any]:
        return json.loads((self.folder / "identity.json").read_text())

    def _furnish(self) -> None:
        """Write all that the node reads."""
        (self.folder / "none").mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        words = ("password", "cookie", "mark")
        identity = {word: secrets.token_hex(16) for word in words} | {"ports": None}
        with suppress(FileNotFoundError):  # this is the first start
            identity = self._identity()
        identity["ports"] = usable(identity["ports"])
        told = {"password": identity["password"], "http": identity["ports"]["http"]}
        options = CONFIGURATION.read_text().format(**told, more=self.config)
        texts = {"identity.json": json.dumps(identity), ".erlang.cookie": identity["cookie"]}
        for name, text in {**texts, "rabbitmq.conf": options, **FILES}.items():
            write_private(self.folder / name, text)

    def _await_ready(self) -> None:
        """An open port is not readiness: RabbitMQ itself says when its boot is over."""
        deadline = time.monotonic() + START_SECONDS
        port = self._identity()["ports"]["amqp"]
        while self.alive() and time.monotonic() < deadline:
            if not free(port):
                with suppress(subprocess.CalledProcessError):
                    self.control("await_startup", "--timeout", "60")
                    return
            time.sleep(0.1)
        ended = "did not come up in time" if self.alive() else "ended while starting"
        raise BrokerUnavailable(
            f"The private RabbitMQ {ended}; its logs are in {self.folder}, beside its queues (set "
            f"ECOM_HOME to begin elsewhere), and these are the last lines:\n{self._last_lines()}"
        )

    def _last_lines(self) -> str:
        logs = [self.folder / "console.log", *sorted((self.folder / "log").glob("*.log"))]
        texts = [log.read_text(errors="replace") for log in logs if log.exists()]
        lines = [line for text in texts for line in text.splitlines()]
        return "\n".join(([line for line in lines if TELLING.search(line)] or lines)[-15:])


def free(port: int) -> bool:
    """Whether a server could listen there now."""
    with suppress(OSError), socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        return True
    return False


def is_epmd(port: int) -> bool:
    """Whether an Erlang port mapper answers there: asked for names, it gives its port first."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as epmd:
        epmd.sendall(b"\0\1n")
        return epmd.recv(4) == port.to_bytes(4)
    return False


def usable(ports: dict[str, int] | None) -> dict[str, int]:
    """`amqp`, `http`, `dist`, `epmd` as last time if they can be had: clients find the node again.
    An epmd that survived its node serves the next one."""
    if ports and all(free(it) or (use == "epmd" and is_epmd(it)) for use, it in ports.items()):
        return ports
    chosen = filter(free, random.sample(PORTS, len(PORTS)))
    return dict(zip(("amqp", "http", "dist", "epmd"), chosen, strict=False))


def _wait(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)


def _command_line(pid: int) -> str:
    """How a process was called, empty if there is none. Linux needs no `ps` for it."""
    if Path("/proc/self/cmdline").exists():
        with suppress(OSError):
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        return ""
    command = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True).stdout
