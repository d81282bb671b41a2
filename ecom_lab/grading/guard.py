"""Watches a reader's handler while the explorer runs it.

A handler depends on its message and its rows, and on nothing else: else neither the explorer nor,
after a crash, the runtime could run it again. So each call is made twice on the same rows, and only
what the second one wrote is kept. Before that one the caches of the reader's code are emptied, as a
crash would.
"""

import gc
import os
import random
import re
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from functools import partial
from pathlib import Path
from traceback import walk_tb
from types import FrameType, ModuleType
from typing import Any, NoReturn

import msgspec

from ecom.contract.contract import Contract, Event
from ecom.contract.envelope import Refused
from ecom.harness.carried import CACHE
from ecom.runtime.service import Handler, Service, Work
from ecom.runtime.tables import MACHINERY, Effect, Outbox, Timer
from ecom.settings import shown
from ecom.stores.base import Table
from ecom_lab.grading.machinery import ACK, COMMIT

SECONDS = 2  # of computing that one call may take
AGAIN = "; run again, it must do the same again"
# Other exceptions (a row that is not there yet, the reader's own) mean: to be tried again.
MISTAKES = (
    *(NameError, TypeError, AttributeError, KeyError, IndexError, ValueError, ArithmeticError),
    *(ImportError, NotImplementedError, AssertionError, RecursionError, MemoryError, OSError),
)
PLAIN = (bool, int, float, str, list, dict, set, deque)  # globals that can be seen to change
WRONG_TYPE = re.compile(r"Expected `(.+?)`, got `(.+?)` - at `\$\.(.+)`")  # as msgspec says it
WRITE = Table._write.__code__  # whatever is written is written by it
OUTSIDE = ("open", "input", "system", "fork_exec", "connect", "getaddrinfo", "unlink", "mkdir")
# Whose code is not the reader's: ours, the interpreter's, and that of installed packages.
OURS = (str(Path(__file__).parents[2] / "ecom"), str(Path(os.__file__).parent), sys.prefix, "<")


class Complaint(BaseException):
    """What is wrong with a reader's code: a sentence; and in which file and line, if in one.

    Not an `Exception`, so that the reader does not catch it, nor the runtime try again.
    """


def guarded(service: Service, contract: Contract) -> Service:
    """The same service, its handlers watched."""
    its = service.handlers.items()
    return service.answering({kind: _Guard(service, kind, it, contract) for kind, it in its})


class _Guard:
    """One handler, watched."""

    def __init__(self, service: Service, kind: type, handler: Handler, contract: Contract) -> None:
        self._service, self._handler, self._events = service, handler, contract.by_key
        self._name = f"{service.name}'s handler of {kind.__name__}"
        self._place, self._globals = _origin(handler)
        self._caches = _caches()

    def __call__(self, message: Any, work: Work) -> Any:
        cause, before = work.cause, self._surroundings(message, work)
        first = self._run(message, work)
        for what, after in self._surroundings(message, work).items():
            if before.get(what) != after:
                raise self._complaint(f"changes {what}{AGAIN}")
        work.undo()
        work.cause = cause
        for cache in self._caches:
            cache.cache_clear()
        if self._run(message, work) != first:
            raise self._complaint(f"depends on something besides its message and rows{AGAIN}")
        return first[0]

    def _run(self, message: Any, work: Work) -> tuple[Any, ...]:
        """What it returns, and all that is written by then."""
        with _watching(self._name, self._place, wrong=self._problem):
            answer = self._handler(message, work)
        if isinstance(answer, (Event, *self._service.effects)):
            raise self._complaint(f"returns a {type(answer).__name__}, which nobody reads")
        tables = work._tx._tables
        if strange := tables.keys() - {*MACHINERY, *self._service.rows}:
            rows = f"rows {min(it.__name__ for it in strange)}"
            raise self._complaint(f"asks for {rows}, which its Service does not have")
        written = {kind: dict(table.changes) for kind, table in tables.items() if table.changes}
        return answer, written, dict(work._tx._counts)

    def _problem(self, kind: type, row: Any) -> str:
        """Why nobody could read this row, event, effect or timer, if so."""
        try:
            if type(row) is not kind:
                raise Refused(f"it is a {type(row).__name__}")
            if kind is Outbox:
                msgspec.json.decode(row.body, type=self._events[row.type])
                if self._service.name != (producer := self._events[row.type].producer):
                    return f"emits {row.type}, which only {producer} may"
            elif kind in (Effect, Timer):
                self._service.message_of(row)
            msgspec.json.decode(msgspec.json.encode(row), type=kind)
        except (Refused, msgspec.ValidationError) as error:
            what, wrong = getattr(row, "type", kind.__name__), WRONG_TYPE.search(str(error))
            why = wrong.expand(r"its `\3` is `\2`, and must be `\1`") if wrong else error
            return f"writes a {what} that nobody can read: {why}"
        return ""

    def _surroundings(self, message: Any, work: Work) -> dict[str, str]:
        """What it must leave as it is."""
        stored = work._tx._store.snapshot()  # type: ignore[attr-defined]
        rows = {f"a {it.__name__} in place": repr(stored.get(it)) for it in self._service.rows}
        return {"its message": repr(message), **rows, **_plain(self._globals)}

    def _complaint(self, problem: str) -> Complaint:
        return Complaint(f"{self._name} {problem}", *self._place)


def stepping(name: str, function: Any) -> Callable[..., Iterator[Any]]:
    """A function of a part of the machinery (see `machinery`), watched at each of its steps."""
    (place, known), caches = _origin(function), _caches()

    def watched(*about: Any) -> Iterator[Any]:
        before, tx = _plain(known), about[-1]
        with _watching(name, place, Exception):
            steps = iter(function(*about) or ())
        while True:
            for cache in caches:
                cache.cache_clear()
            with _watching(name, place, Exception):
                what = next(steps, None)
            if changed := [it for it, value in _plain(known).items() if before.get(it) != value]:
                raise Complaint(f"{name} changes {changed[0]}, which a crash would lose", *place)
            if what is None and tx.is_changed():
                raise Complaint(f"{name} ends without COMMIT, so that its changes are lost", *place)
            if what is None:
                return
            if what not in (COMMIT, ACK) and not isinstance(getattr(what, "event", None), Outbox):
                this = "an event" if isinstance(what, Outbox) else shown(what)
                words = "COMMIT, ACK or Publish(event)"
                raise Complaint(f"{name} yields {this}, and not {words}", *place)
            yield what

    return watched


def _origin(function: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The file and line of a function, if it has any, and its globals."""
    while isinstance(function, partial):
        function = function.func
    code = getattr(function, "__code__", None)
    place = (code.co_filename, code.co_firstlineno) if code else ()
    return place, getattr(function, "__globals__", {})


def _caches() -> list[Any]:
    """The caches (`lru_cache`) in the reader's code."""
    caches = ((it, _origin(it.__wrapped__)[0]) for it in gc.get_objects() if isinstance(it, CACHE))
    return [it for it, place in caches if place and not place[0].startswith(OURS)]


def _plain(known: dict[str, Any]) -> dict[str, str]:
    """What is in these globals, as far as it can be seen to change."""
    return {
        f"the global `{name}`": repr(getattr(value, "__dict__", value))
        for name, value in known.items()
        if (isinstance(value, PLAIN) or type(value).__module__ == "__main__") and name[:2] != "__"
    }


def _line(frame: FrameType | None) -> tuple[Any, ...]:
    """The file and line of the reader's from which this was called."""
    while frame is not None and frame.f_code.co_filename.startswith(OURS):
        frame = frame.f_back
    return (frame.f_code.co_filename, frame.f_lineno) if frame else ()


@contextmanager
def _watching(
    name: str,
    place: tuple[Any, ...],
    mistakes: Any = MISTAKES,
    wrong: Callable[[type, Any], str] | None = None,
) -> Iterator[None]:
    """Refuse mistakes, clock, chance and I/O in the code of this name, and what takes too long; and
    to write a row with which something is `wrong`."""
    noted: list[Complaint] = []

    def refuse(problem: str, frame: FrameType | None) -> NoReturn:
        noted.append(Complaint(f"{name} {problem}", *(_line(frame) or place)))
        raise noted[0]

    def on_call(frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call" and (asked := _asked_of(called)):
            refuse(f"asks {asked} ({called.__name__}){AGAIN}", frame)
        if wrong and event == "call" and frame.f_code is WRITE:
            table, row = frame.f_locals["self"], frame.f_locals["row"]
            if row is not None and (problem := wrong(table._kind, row)):
                refuse(problem, frame)

    def on_alarm(_: int, frame: FrameType | None) -> None:
        refuse(f"has not come to its end after {SECONDS} s of computing", frame)

    signal.signal(signal.SIGVTALRM, on_alarm)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS, SECONDS)
    sys.setprofile(on_call)
    try:
        yield
    except mistakes as error:
        if mistakes is MISTAKES and type(error).__module__ != "builtins":
            raise  # the reader's own: to be tried again
        raise _mistake(name, error, place) from None
    finally:
        sys.setprofile(None)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    if noted:  # and the reader's code has caught it
        raise noted[0]


def _mistake(name: str, error: BaseException, place: tuple[Any, ...]) -> Complaint:
    """That the code of this name raises this, in the last line of the reader's on the way."""
    lines = [(frame.f_code.co_filename, n) for frame, n in walk_tb(error.__traceback__)]
    found = [it for it in lines if not it[0].startswith(OURS)][-1:] or [place]
    said = f"raises {type(error).__name__}: {error}".removesuffix(": ")
    return Complaint(f"{name} {said}", *found[0])


def _asked_of(called: Any) -> str:
    """Whom a function of the interpreter asks that answers otherwise each time; or nobody."""
    owner, name = getattr(called, "__self__", None), called.__name__
    is_date = isinstance(owner, type) and issubclass(owner, date)
    if owner is time or (is_date and name in ("now", "utcnow", "today")):
        return "the clock"
    if isinstance(owner, random.Random) or name == "urandom":
        return "chance"
    is_outside = isinstance(owner, ModuleType) and name in OUTSIDE
    return "the world outside" if is_outside or isinstance(owner, socket.socket) else ""
