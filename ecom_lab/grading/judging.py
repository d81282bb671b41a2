"""Judges a reader's code in one world, in a process of its own: it may loop, or eat memory."""

import io
import logging
import pickle
import resource
import sys
from contextlib import suppress
from dataclasses import replace
from types import CodeType
from typing import Any, NamedTuple

from ecom.harness import carried
from ecom.harness.history.diagram import Step as Line
from ecom_lab.grading.guard import Complaint, guarded, stepping
from ecom_lab.grading.machinery import PARTS, Part, with_part
from ecom_lab.grading.symptoms import Symptoms, examine
from ecom_lab.simulator.checker import Explorer, Violation
from ecom_lab.simulator.counterexample import done
from ecom_lab.simulator.model import Model
from ecom_lab.simulator.scenario import Scenario

MEMORY = 2 << 30  # bytes of address space
MOST = 40_000  # states; the largest of the shop's own worlds has some 6,000
LONGEST = 300  # steps of a history; there it is some 30
LEADS = "one event, request or timer leads to another"
COMES = "a message comes again until it is acknowledged, a command until it is answered"


class Verdict(NamedTuple):
    """What one world came to: a violation, or a complaint about the code, or neither."""

    states: int = 0
    seconds: float = 0.0
    violation: Violation | None = None
    complaint: tuple[Any, ...] = ()  # a sentence; file and line, if it is about one
    done: tuple[list[Line], ...] = ()  # by each step of the violation
    symptoms: Symptoms | None = None  # of it


class _Pickler(carried.Pickler):
    """Says from which file, or cell, code is, too: so that a complaint can name its line."""

    def reducer_override(self, thing: Any) -> Any:
        if isinstance(thing, CodeType):
            return _in_file, (thing.co_filename, *self.dispatch_table[CodeType](thing))
        return super().reducer_override(thing)


def _in_file(file: str, make: Any, parts: Any) -> CodeType:
    return make(*parts).replace(co_filename=file)


def pickled(what: tuple[Scenario, type[Model], Part | None]) -> bytes:
    """A world in which a reader's code is played, for `judge`: in its saga, or as a part of the
    machinery. Raises what pickle does."""
    file = io.BytesIO()
    _Pickler(file).dump(what)
    return file.getvalue()


def no_end(graded: list[str], after: str) -> tuple[str]:
    """The complaint that a world of these has no end, as far as it was looked at."""
    why = COMES if graded[0] in PARTS else LEADS
    return (f"it has not come to its end after {after}: {why}",)


def judge(code: bytes, graded: list[str], folder: str, seconds: int) -> Verdict:
    """Explore a world, and watch these services; what it is made of may be in `folder`. Ends by
    SIGXCPU after so many seconds of computing: others may be busy on this machine, too."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    logging.disable()  # what fails on purpose; and who logs asks the clock
    sys.path.append(folder)
    scenario, model, part = pickle.loads(code)
    saga = scenario.saga
    if part:
        mine = {it: stepping(f"{graded[0]}'s {it}", function) for it, function in part.items()}
        scenario = with_part(graded[0], mine, scenario)
    else:
        for name in graded:
            saga = saga.replacing(guarded(saga.services[name], saga.contract))
    try:
        world = model(replace(scenario, saga=saga))
        result = Explorer(world, max_states=MOST, max_steps=LONGEST).run()
    except Complaint as complaint:
        return Verdict(complaint=complaint.args)
    except ValueError as error:  # a command that no service handles
        return Verdict(complaint=(str(error),))
    violation = next(iter(result.violations), None)
    ends = result.exhaustive or violation
    complaint = () if ends else no_end(graded, f"{LONGEST} steps or {MOST:,} states")
    shown, symptoms = (), None
    if violation:
        with suppress(Complaint):  # of what comes later; the violation is what is told
            shown = tuple(done(world, violation.steps))
            symptoms = examine(world, violation.steps)
    return Verdict(result.states, result.seconds, violation, complaint, shown, symptoms)
