"""Where children come from: a process that has imported what they need, and forks (see `child`).

Started by `child` with a socket as its stdin; with each order on it come the files that the child
needs. It has no threads and no connections, and ends when the socket is closed, which the kernel
does however its starter dies; with it ends a pipe that each child watches. Where to fork is not
safe, or a module has been edited since, a child goes on in an interpreter of its own.
"""

import atexit
import faulthandler
import gc
import importlib
import logging
import os
import pickle
import select
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterable, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from pkgutil import resolve_name
from typing import NamedTuple, NoReturn

from ecom.telemetry.logs import Line

MOST_FILES = 16  # that one order brings along
CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)

# With folders to import from. Not `-m`, which would look in the current folder.
_BEGIN = (
    "import sys; sys.path += sys.argv[2:]; "
    "from ecom.process.fork_server import main; main(sys.argv[1])"
)


class Order(NamedTuple):
    """A child to be started; without a target, only modules to be imported."""

    name: str = ""
    target: str = ""
    arguments: bytes = b""  # pickled, for the child alone to read
    environment: Mapping[str, str] = {}
    imports: tuple[str, ...] = ()
    fresh: bool = False  # in an interpreter of its own
    patience: float = 10.0  # seconds that it may take to end once its starter has gone


def command(paths: Iterable[str], lifeline: str = "") -> list[str]:
    """How a fork server begins or, with a file to watch, a fresh child."""
    return [sys.executable, "-P", "-c", _BEGIN, lifeline, *paths]


def how(status: int) -> str:
    """How a process ended that has this status."""
    return f"by {signal.Signals(-status).name}" if status < 0 else f"with exit status {status}"


class Server:
    """Forks children as ordered, and reports their pids and statuses."""

    def __init__(self) -> None:
        self._begun = time.time()
        self._control = socket.socket(fileno=0)
        self._children: dict[int, tuple[str, Connection, int]] = {}  # name, news, log
        self._ahead: list[str] = []  # modules to be imported when there is nothing else to do
        self._lifeline, self._life = os.pipe()  # nothing is ever written; its end is the message
        # A child that ends just before we wait for the next order must not wait for that order.
        self._woken, self._waking = socket.socketpair()
        self._waking.setblocking(False)
        signal.set_wakeup_fd(self._waking.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # it is the number that wakes us

    def serve(self) -> None:
        """Fork until the socket is closed."""
        while True:
            heard = [self._control, self._woken]
            ready, *_ = select.select(heard, [], [], 0 if self._ahead else None)
            if self._woken in ready:
                self._woken.recv(4_096)
                self._reap()
            elif not ready:  # a child that is to be started does not wait for these
                _load(self._ahead.pop(0))
            elif files := socket.recv_fds(self._control, 1, MOST_FILES, CLOSE_ON_EXEC)[1]:
                self._carry_out(Connection(files[0]), *files[1:])
            else:
                return

    def _carry_out(self, news: Connection, *files: int) -> None:
        order = Order()  # of nothing, if the starter has gone meanwhile
        with suppress(EOFError, OSError):
            order = news.recv()
        if order.target:
            self._fork(order, news, *files)
        else:
            self._ahead += order.imports
            news.close()

    def _fork(self, order: Order, news: Connection, log: int, *kept: int) -> None:
        if not order.fresh:
            _load(*order.imports, order.target.partition(":")[0])
        is_fresh = order.fresh or not _can_fork() or _is_edited(self._begun)
        gc.freeze()  # else a child that collects garbage copies all that we share
        pid = 0
        self._children[pid] = order.name, news, log
        try:
            pid = os.fork() or self._be_child(order, is_fresh, kept)
            self._children[pid] = self._children.pop(0)
        except OSError as error:
            os.write(log, f"No process can be started: {error}\n".encode())
        for file in kept:
            os.close(file)
        _tell(news, pid)
        if not pid:
            self._ended(pid, os.EX_OSERR)

    def _be_child(self, order: Order, is_fresh: bool, kept: Iterable[int]) -> NoReturn:
        """A session and a log of its own, and nothing of the server's but the end of its life."""
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for file in 1, 2:
                os.dup2(self._children[0][2], file)
            os.close(self._life)
            self._woken.close()
            self._waking.close()
            for _, news, log in self._children.values():
                news.close()
                os.close(log)
            if is_fresh:
                _begin_anew(order, self._lifeline, kept)
            live(order, self._lifeline)
        finally:
            traceback.print_exc()
            os._exit(os.EX_OSERR)

    def _reap(self) -> None:
        with suppress(ChildProcessError):  # there is none
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                self._ended(ended[0], os.waitstatus_to_exitcode(ended[1]))

    def _ended(self, pid: int, status: int) -> None:
        name, news, log = self._children.pop(pid)
        with suppress(OSError):  # the disk may be full
            if name:
                told = {"msg": f"Ended {how(status)}", "levelname": "ERROR" if status else "INFO"}
                os.write(log, f"{Line(name).format(logging.makeLogRecord(told))}\n".encode())
        _tell(news, status)
        news.close()
        os.close(log)


def _tell(news: Connection, number: int) -> None:
    with suppress(OSError):  # the starter has ended
        news.send(number)


def _load(*modules: str) -> None:
    """Import what children need; what cannot be imported, they will say themselves."""
    for module in modules if sys.platform == "linux" else ():
        with suppress(BaseException):
            importlib.import_module(module)


def _can_fork() -> bool:
    """Whether this process can be forked: on macOS never, as its libraries start threads."""
    return sys.platform == "linux" and len(os.listdir("/proc/self/task")) == 1


def _is_edited(since: float) -> bool:
    """Whether a module that is imported, and not just installed, was written after that time."""
    for module in [*sys.modules.values()]:
        file = getattr(module, "__file__", None) or sys.prefix
        if not file.startswith((sys.prefix, sys.base_prefix)):
            with suppress(OSError):
                if os.stat(file).st_mtime > since:
                    return True
    return False


def _begin_anew(order: Order, lifeline: int, kept: Iterable[int]) -> NoReturn:
    """Go on in an interpreter of our own, with the order as its stdin."""
    with tempfile.TemporaryFile() as text:
        pickle.dump(order, text)
        text.seek(0)
        os.dup2(text.fileno(), 0)
    for file in (lifeline, *kept):
        os.set_inheritable(file, True)
    os.execv(sys.executable, command(sys.argv[2:], str(lifeline)))


def live(order: Order, lifeline: int) -> NoReturn:
    """Be the child that is ordered."""
    with open(os.devnull) as nowhere:
        os.dup2(nowhere.fileno(), 0)
    os.umask(0o077)  # what is ours to know is in our files
    os.environ.clear()
    os.environ.update(order.environment)
    time.tzset()
    with suppress(OSError), open("/proc/self/comm", "w") as title:
        title.write(order.name or order.target)
    gc.enable()
    faulthandler.enable()
    threading.Thread(target=_end_with, args=[lifeline, order.patience], daemon=True).start()
    status = _status(order)
    with suppress(BaseException):
        atexit._run_exitfuncs()
        sys.stdout.flush()
    os._exit(status)  # else all that we share with others would be taken apart, and so copied


def _end_with(lifeline: int, patience: float) -> None:
    os.read(lifeline, 1)
    logging.getLogger("ecom.process").warning("Whoever started this process has gone")
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(patience)
    os.kill(os.getpid(), signal.SIGKILL)


def _status(order: Order) -> int:
    """Do what is ordered; the exit status, as the interpreter would have it."""
    try:
        resolve_name(order.target)(*pickle.loads(order.arguments))
        return 0
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    return 1


def main(lifeline: str) -> None:
    """Be a fork server, or a fresh child, as this file says."""
    if lifeline:
        live(pickle.load(sys.stdin.buffer), int(lifeline))
    gc.disable()  # what is imported stays
    Server().serve()
