"""Where children come from: a process that has imported what they need, and forks (see `child`).

Started by `child` with a socket: each message on it is an order. It has no threads and no
connections, and ends when the socket is closed, which the kernel does however its starter dies;
with it ends a pipe that each child watches. Where to fork is not safe, a child goes on in an
interpreter of its own.
"""

import gc
import importlib
import logging
import os
import pickle
import select
import signal
import socket
import sys
from collections import deque
from contextlib import suppress
from typing import NamedTuple

from ecom.process.birth import NUMBER, Birth, Order, how, live
from ecom.telemetry.logs import Line

MOST_FILES = 16  # that one order brings along
NOT_FORKED = 0  # the pid of a child for which there was no room


class Forked(NamedTuple):
    """A child that runs: the pipe and the log to which its end is written."""

    name: str
    news: int
    log: int


class Server:
    """Forks children as ordered, and reports their pids and statuses."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._children: dict[int, Forked] = {}
        self._ahead: deque[str] = deque()  # modules to be imported when there is nothing else to do
        self._lifeline, self._life = os.pipe()  # nothing is ever written; its end is the message
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> Birth | None:
        """Fork until the socket is closed. Returns in each child, with what it is to be."""
        waiting = select.poll()
        waiting.register(self._control, select.POLLIN)
        waiting.register(self._woken, select.POLLIN)
        while True:
            ready = [descriptor for descriptor, _ in waiting.poll(0 if self._ahead else None)]
            if self._woken in ready:
                os.read(self._woken, 512)
                self._reap()
            if self._control.fileno() in ready:
                if (received := _receive(self._control)) is None:
                    return None
                if (birth := self._carry_out(*received)) is not None:
                    return birth
            elif self._ahead:  # a child that is to be started does not wait for these
                _load(self._ahead.popleft())

    def _carry_out(self, order: Order, files: list[int]) -> Birth | None:
        """Fork as ordered, if it is to be. Returns something in the child only."""
        if not order.target:
            self._ahead.extend(order.imports)
            return None
        if not order.fresh:
            _load(*order.imports, order.target.partition(":")[0])
        is_fresh = order.fresh or not _can_fork()
        news, log, *kept = files
        gc.freeze()  # else a child that collects garbage copies all that we share
        try:
            pid = os.fork()
        except OSError as error:
            pid = NOT_FORKED
            os.write(log, f"No process can be started: {error}\n".encode())
        if pid == 0:
            self._leave(news)
            return Birth(order, is_fresh, self._lifeline, log, tuple(kept))
        for file in kept:
            os.close(file)
        _tell(news, pid)
        self._children[pid] = Forked(order.name, news, log)
        if pid == NOT_FORKED:
            self._bury(pid, os.EX_OSERR)
        return None

    def _leave(self, news: int) -> None:
        """In a child: let go of what is the server's."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        others = [file for each in self._children.values() for file in (each.news, each.log)]
        for file in (self._control.detach(), self._life, self._woken, self._wake, news, *others):
            os.close(file)

    def _reap(self) -> None:
        with suppress(ChildProcessError):  # there is none
            while True:
                pid, ended = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                self._bury(pid, os.waitstatus_to_exitcode(ended))

    def _bury(self, pid: int, status: int) -> None:
        child = self._children.pop(pid)
        with suppress(OSError):  # the disk may be full
            if child.name:
                os.write(child.log, _last_line(child.name, status))
        _tell(child.news, status)
        os.close(child.log)
        os.close(child.news)


def _tell(news: int, number: int) -> None:
    with suppress(BrokenPipeError):  # the starter has ended
        os.write(news, NUMBER.pack(number))


def _receive(control: socket.socket) -> tuple[Order, list[int]] | None:
    head, files, *_ = socket.recv_fds(control, NUMBER.size, MOST_FILES)
    if not head:
        return None
    for file in files:
        os.set_inheritable(file, False)
    (size,), parts = NUMBER.unpack(head), []
    while size:
        parts.append(control.recv(size))
        if not parts[-1]:
            return None
        size -= len(parts[-1])
    return pickle.loads(b"".join(parts)), files


def _load(*modules: str) -> None:
    """Import what children need; what cannot be imported, they will say themselves."""
    for module in modules if sys.platform == "linux" else ():
        with suppress(BaseException):
            importlib.import_module(module)


def _can_fork() -> bool:
    """Whether this process can be forked: on macOS never, as its libraries start threads."""
    return sys.platform == "linux" and len(os.listdir("/proc/self/task")) == 1


def _last_line(name: str, status: int) -> bytes:
    told = {"msg": f"Ended {how(status)}", "levelname": "ERROR" if status else "INFO"}
    return f"{Line(name).format(logging.makeLogRecord(told))}\n".encode()


def main(number: str) -> None:
    """Be a fork server, or a child of one, as this file says."""
    gc.disable()  # what is imported stays
    if (birth := Server(socket.socket(fileno=int(number))).serve()) is not None:
        live(birth)
