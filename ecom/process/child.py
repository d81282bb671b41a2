"""The one way to start a process of our own.

A child has a session, an environment and a log of its own, ends by real signals, and ends with the
process that started it, however that one ends. It does not import from the current folder, and
/dev/null is its stdin. What it is told goes over a socket: a secret is never in an argument, nor
in an environment that others can read. Each child is forked from one process that has imported what
children need (see `ecom.process.fork_server`), so to start one costs milliseconds.
"""

import atexit
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from pkgutil import resolve_name
from typing import IO, Any

from ecom.process.fork_server import Order, command, how

WITH_ITS_SERVER = 255  # the status of a child whose fork server was killed, and which ended by that
SECRET = "ECOM_"  # settings that begin so may be secrets: the fork server has none of them


class Died(Exception):
    """A child that was to answer ended instead: how, and the end of its output."""


class Child:
    """A process that `start` has started; for the process that did."""

    def __init__(self, news: Connection) -> None:
        self._news = news
        self._status: int | None = None
        self._hearing = threading.Lock()
        self.pid = self._hear(0)  # its process id; 0 if it could not be started

    def poll(self) -> int | None:
        """Its exit status, below 0 if a signal ended it; None while it runs."""
        with suppress(TimeoutError):
            return self.wait(0.0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, once it has ended. Raises `TimeoutError`."""
        if self._status is None and not self._news.poll(timeout):
            raise TimeoutError(f"process {self.pid} has not ended")
        with self._hearing:
            if self._status is None:  # no other thread was told meanwhile
                self._status = self._hear(WITH_ITS_SERVER)
        return self._status

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it has not ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM: it may finish what it has in hand."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL: it ends at once."""
        self.send_signal(signal.SIGKILL)

    def _hear(self, instead: int) -> int:
        """The next number that the fork server tells; if it was killed, another one."""
        try:
            return self._news.recv()
        except (EOFError, OSError):
            return instead


class _Server:
    """The fork server of this process: started when it is needed, and again if it was killed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._starting = threading.Lock()

    def order(self, order: Order, *files: int) -> Connection:
        """Order a child that gets these files; where its numbers will come."""
        with self._starting:
            if self._process is not None:
                with suppress(OSError):  # it was killed
                    return self._send(order, *files)
            self.close()
            self._start()
            return self._send(order, *files)

    def _start(self) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                command(_paths()),
                env=_environment(),
                stdin=theirs,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL if sys.__stderr__ is None else None,
                start_new_session=True,  # Ctrl-C is for us; we tell the others
            )

    def _send(self, order: Order, *files: int) -> Connection:
        ours, theirs = Pipe()
        with theirs:
            socket.send_fds(self._socket, [b"!"], [theirs.fileno(), *files])
        ours.send(order)
        return ours

    def close(self) -> None:
        """End it, and with it all that it has started."""
        if self._process is not None:
            self._socket.close()
            self._process.wait()

    def forget(self) -> None:
        """Another process forked us: the server is its own, and must notice when it ends."""
        if self._process is not None:
            self._socket.close()
            self._process.returncode = 0
        self.__init__()


_server = _Server()
atexit.register(_server.close)
os.register_at_fork(after_in_child=_server.forget)


def prepare(*modules: str) -> None:
    """Have modules imported where children are forked from; returns at once."""
    _server.order(Order(imports=modules)).close()


def start(
    target: str,
    *arguments: Any,
    log: IO[Any],
    name: str = "",
    environment: Mapping[str, str] | None = None,
    imports: tuple[str, ...] = (),
    keep: Iterable[int] = (),
    fresh: bool = False,
    patience: float = Order().patience,
) -> Child:
    """Start a process that calls `target`, "module:function", with arguments that can be pickled.

    Its output goes to the file `log`, and at its end, if it has a `name`, how it ended. Its
    environment is exactly `environment` (None: ours), its files are those and the descriptors in
    `keep`. `imports` are loaded once for all children, besides the target's module: but for one
    that is `fresh`, an interpreter of its own. Once we have gone, it has `patience` seconds to end.
    """
    told = dict(os.environ if environment is None else environment)
    order = Order(name, target, pickle.dumps(arguments), told, imports, fresh, patience)
    return Child(_server.order(order, log.fileno(), *keep))


def call(target: str, *arguments: Any, seconds: float, **options: Any) -> Any:
    """What a function returns that is called in a child; `options` are those of `start`. Raises
    `Died` if the process ends instead, `TimeoutError` if it takes longer than `seconds`."""
    with tempfile.TemporaryFile() as log, tempfile.NamedTemporaryFile() as answer:
        child = start(f"{__name__}:_answer", answer.name, target, arguments, log=log, **options)
        try:
            status = child.wait(seconds)
        finally:
            child.kill()
        if status:
            log.seek(0)
            words = log.read().decode(errors="replace").strip().rpartition("\n")[2]
            raise Died(f"it ended {how(status)}. {words}".strip())
        return pickle.load(answer)


def _answer(answer: str, target: str, arguments: tuple[Any, ...]) -> None:
    Path(answer).write_bytes(pickle.dumps(resolve_name(target)(*arguments)))


def _environment() -> dict[str, str]:
    """The fork server's own. It has no secrets; and libraries that read all certificates when they
    are imported, which takes 50 ms, find none: a child is told where they are."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(SECRET)}
    return {**ours, "SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": os.devnull}


def _paths() -> list[str]:
    """Where we import from, but for the folders in which a file of the reader's might lie that has
    the name of a module: the current one, and that of the script."""
    script = getattr(sys.modules["__main__"], "__file__", None)
    theirs = {os.getcwd(), script and os.path.dirname(os.path.abspath(script))}
    paths = [path for path in sys.path if path and os.path.abspath(path) not in theirs]
    return [*paths, str(Path(__file__).parents[2])]
