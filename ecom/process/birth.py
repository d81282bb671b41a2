"""The first moments of a child: it makes itself at home, and then calls what was ordered."""

import atexit
import faulthandler
import gc
import importlib
import logging
import os
import pickle
import signal
import struct
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, NamedTuple, NoReturn

NUMBER = struct.Struct("!i")  # as it is sent: how many bytes follow; a pid; a status

# With file numbers and folders to import from. Not `-m`, which would look in the current folder.
_BEGIN = (
    "import sys; sys.path += sys.argv[2:]; from ecom.process.{0} import main; main(sys.argv[1])"
)


class Order(NamedTuple):
    """A child to be started; without a target, only modules to be imported."""

    name: str = ""
    target: str = ""
    arguments: bytes = b""  # pickled, for the child alone to read
    environment: tuple[tuple[str, str], ...] = ()
    imports: tuple[str, ...] = ()
    fresh: bool = False  # in an interpreter of its own
    patience: float = 10.0  # seconds that it may take to end once its starter has gone


class Birth(NamedTuple):
    """What a child is to be, and the files that it needs for it."""

    order: Order
    is_fresh: bool
    lifeline: int
    log: int
    kept: tuple[int, ...] = ()


def how(status: int) -> str:
    """How a process ended that has this status."""
    return f"by {signal.Signals(-status).name}" if status < 0 else f"with exit status {status}"


def function_at(target: str) -> Callable[..., Any]:
    """The function that "module:function" names."""
    module, _, function = target.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found


def command(module: str, files: Iterable[int], paths: Iterable[str]) -> list[str]:
    """How an interpreter begins with `main` of one of these modules."""
    numbers = ",".join(map(str, files))
    return [sys.executable, "-P", "-c", _BEGIN.format(module), numbers, *paths]


def live(birth: Birth) -> NoReturn:
    """Be the child."""
    if birth.is_fresh:
        _begin_anew(birth)
    _move_out(birth.log)
    order = birth.order
    os.umask(0o077)  # what is ours to know is in our files
    os.environ.clear()
    os.environ.update(order.environment)
    time.tzset()
    with suppress(OSError), open("/proc/self/comm", "w") as title:
        title.write(order.name or order.target)
    gc.enable()
    faulthandler.enable()
    threading.Thread(target=_end_with, args=[birth.lifeline, order.patience], daemon=True).start()
    status = _status(order)
    with suppress(BaseException):
        atexit._run_exitfuncs()
        sys.stdout.flush()
    os._exit(status)  # else all that we share with others would be taken apart, and so copied


def _begin_anew(birth: Birth) -> NoReturn:
    """Go on in an interpreter of our own."""
    with tempfile.TemporaryFile() as order:
        order.write(pickle.dumps(birth.order))
        order.seek(0)
        files = [order.fileno(), birth.lifeline, birth.log, *birth.kept]
        for file in files:
            os.set_inheritable(file, True)
        os.execv(sys.executable, command("birth", files, sys.argv[2:]))


def _move_out(log: int) -> None:
    """A session of our own, nothing to read, and a log to write to."""
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDONLY)
    for file, place in (nowhere, 0), (log, 1), (log, 2):
        os.dup2(file, place)
    os.close(nowhere)
    os.close(log)


def _end_with(lifeline: int, patience: float) -> None:
    os.read(lifeline, 1)
    logging.getLogger("ecom.process").warning("Whoever started this process has gone")
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(patience)
    os.kill(os.getpid(), signal.SIGKILL)


def _status(order: Order) -> int:
    """Do what is ordered; the exit status, as the interpreter would have it."""
    try:
        function_at(order.target)(*pickle.loads(order.arguments))
        return 0
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    return 1


def main(numbers: str) -> None:
    """Be a fresh child, with the files that have been left for us."""
    first, lifeline, log, *_ = map(int, numbers.split(","))
    with open(first, "rb") as order:
        birth = Birth(pickle.load(order), False, lifeline, log)
    live(birth)
