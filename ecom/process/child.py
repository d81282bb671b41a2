"""The one way to start a process of our own.

A child has a session, an environment and a log of its own, ends by real signals, and ends with the
process that started it, however that one ends. It does not import from the current folder, and
/dev/null is its stdin. What it is told goes over a socket: a secret is never in an argument, nor
in an environment that others can read. Each child is forked from one process that has imported what
children need (see `ecom.process.fork_server`), so to start one costs milliseconds.
"""

import atexit
import fcntl
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from ecom.process.birth import NUMBER, Order, command, function_at, how

WITH_ITS_SERVER = 255  # the status of a child whose fork server was killed, and which ended by that
SECRET = "ECOM_"  # settings that begin so may be secrets: the fork server has none of them


class Died(Exception):
    """A child that was to answer ended instead: `status`, and in `words` the end of its output."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(f"it ended {how(status)}. {words}".strip())
        self.status, self.words = status, words


class Child:
    """A process that `start` has started; for the process that did."""

    def __init__(self, news: int) -> None:
        self._news = news  # a pipe: at first the pid comes by it, at last the status
        self._pid: int | None = None
        self._status: int | None = None
        self._reading = threading.Lock()

    def __del__(self) -> None:
        os.close(self._news)

    @property
    def pid(self) -> int:
        """Its process id; 0 if it could not be started."""
        while self._pid is None:
            self._read()
        return self._pid

    def poll(self) -> int | None:
        """Its exit status, below 0 if a signal ended it; None while it runs."""
        while self._status is None and self._is_told(0.0):
            self._read()
        return self._status

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, once it has ended. Raises `TimeoutError`."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self._status is None:
            if not self._is_told(deadline and max(0.0, deadline - time.monotonic())):
                raise TimeoutError(f"process {self.pid} has not ended")
            self._read()
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

    def _is_told(self, seconds: float | None) -> bool:
        news = select.poll()
        news.register(self._news, select.POLLIN)
        return bool(news.poll(seconds and seconds * 1_000))

    def _read(self) -> None:
        """The next of two numbers: pid, then status; or the end of the pipe."""
        with self._reading:
            told = os.read(self._news, NUMBER.size)
            if not told and self._status is None:
                self._pid, self._status = self._pid or 0, WITH_ITS_SERVER
            elif told and self._pid is None:
                (self._pid,) = NUMBER.unpack(told)
            elif told:
                (self._status,) = NUMBER.unpack(told)


class _Server:
    """The fork server of this process."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            number = fcntl.fcntl(theirs, fcntl.F_DUPFD_CLOEXEC, 3)
        try:
            self._process = subprocess.Popen(
                command("fork_server", [number], _paths()),
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL if sys.__stderr__ is None else None,
                pass_fds=[number],
                start_new_session=True,  # Ctrl-C is for us; we tell the others
            )
        finally:
            os.close(number)

    def send(self, order: Order, files: Iterable[int]) -> None:
        """Raises `OSError` if the server is gone."""
        text = pickle.dumps(order)
        socket.send_fds(self._socket, [NUMBER.pack(len(text))], list(files))
        self._socket.sendall(text)

    def close(self) -> None:
        """End it, and with it all that it has started."""
        self._socket.close()
        self._process.wait()

    def forget(self) -> None:
        """Another process forked us: the server is its own, and must notice when it ends."""
        self._socket.close()
        self._process.returncode = 0


_server: _Server | None = None
_starting = threading.Lock()


def prepare(*modules: str) -> None:
    """Have modules imported where children are forked from; returns at once."""
    _send(Order(imports=modules), ())


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
    told = os.environ if environment is None else environment
    its = tuple(told.items())
    order = Order(name, target, pickle.dumps(arguments), its, imports, fresh, patience)
    ours, theirs = os.pipe()
    try:
        _send(order, [theirs, log.fileno(), *keep])
    finally:
        os.close(theirs)
    return Child(ours)


def call(target: str, *arguments: Any, seconds: float, **options: Any) -> Any:
    """What a function returns that is called in a child; `options` are those of `start`.

    Raises `Died` if the process ends instead, `TimeoutError` if it takes longer than `seconds`.
    """
    with tempfile.TemporaryDirectory(prefix="ecom-call-") as folder:
        answer = Path(folder, "answer")
        with open(Path(folder, "log"), "w+b") as log:
            child = start(f"{__name__}:_answer", answer, target, arguments, log=log, **options)
            try:
                status = child.wait(seconds)
            finally:
                child.kill()
            log.seek(0)
            if status:
                raise Died(status, log.read().decode(errors="replace").strip().rpartition("\n")[2])
        return pickle.loads(answer.read_bytes())


def _answer(answer: Path, target: str, arguments: tuple[Any, ...]) -> None:
    answer.write_bytes(pickle.dumps(function_at(target)(*arguments)))


def _send(order: Order, files: Iterable[int]) -> None:
    global _server
    with _starting:
        if _server is not None:
            try:
                return _server.send(order, files)
            except OSError:  # it was killed
                _server.close()
        _server = _Server()
        _server.send(order, files)


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


def _end() -> None:
    if _server is not None:
        _server.close()


def _forget() -> None:
    global _server
    if _server is not None:
        _server.forget()
        _server = None


atexit.register(_end)
os.register_at_fork(after_in_child=_forget)
