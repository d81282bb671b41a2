"""`grade`: a reader's services, judged by the explorer in every order of events there is."""

import linecache
import os
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ecom.errors import ShopError
from ecom.harness.progress import progress
from ecom.process import child
from ecom.runtime.saga import Saga
from ecom.settings import shown
from ecom.shop import arguments
from ecom_lab.grading.judging import Verdict, no_end, pickled
from ecom_lab.grading.machinery import PARTS, Part
from ecom_lab.grading.stages import STAGES, Stage
from ecom_lab.grading.symptoms import Symptoms
from ecom_lab.simulator.counterexample import Story
from ecom_lab.simulator.properties import QUIET_IS_REACHED

JUDGE = "ecom_lab.grading.judging:judge"
SECONDS = 30  # of computing that one world may take; the largest takes a few
BUSY = 10  # times as long it may take on a machine that has more to do


class Passed(NamedTuple):
    """A stage that was passed: every history of its worlds was looked at."""

    stage: str
    states: int
    seconds: float


@dataclass(frozen=True, repr=False)
class Grade:
    """What grading came to: true if all stages were passed. It shows itself in a notebook."""

    name: str  # of what was graded
    passed: tuple[Passed, ...]
    failed: str = ""  # the stage that was not
    what: str = ""  # happens in it
    story: Story | None = None  # the shortest in which a promise is violated
    words: str = ""  # that story and the promise; or what is wrong with the code
    symptoms: Symptoms | None = None  # what is seen of that story in the end, without its reason

    def __bool__(self) -> bool:
        return not self.failed

    def __repr__(self) -> str:
        told = [f"{self.name}, {it.stage}: passed ({it.states:,} states)" for it in self.passed]
        if self.failed:
            told += [f"{self.name}, {self.failed}: not passed. {self.what}", "", self.words]
        return "\n".join(told)

    def _ipython_display_(self) -> None:
        from IPython.display import display

        print(self)
        if self.story:
            display(self.story.diagram)


def grade(
    stage: str = "",
    *,
    saga: Saga | None = None,
    stages: tuple[Stage, ...] = STAGES,
    **services: Any,
) -> Grade:
    """Judge services of the shop: `grade("crash", payment=mine)`; or a saga, which is all of them;
    or those of another saga, in `stages` of its own.

    Each is a `Service`, or a mapping of messages to handlers that are laid over those it has; or it
    is a part of the machinery, as a mapping of names to functions (see `machinery`).
    Without a `stage`, all that make sense, up to the first that is not passed. Raises `ShopError`.
    """
    whole, name = saga or stages[0].worlds[0].saga, " and ".join(services) or "saga"
    graded = list(services if services and not saga else whole.services)
    known = [it for it in stages if {*it.services} & {*graded}] or stages
    named = {it.name: it for it in known}
    if stage and stage not in named:
        raise ShopError(f"for {name} there is no stage {stage!r}, but: {', '.join(named)}")
    played = [named[stage]] if stage else list(named.values())
    try:
        if part := _part(services):
            codes = [[pickled((world, it.model, part)) for world in it.worlds] for it in played]
        else:
            whole = arguments.services(services, whole)
            codes = [_worlds(it, graded, whole) for it in played]
    except ValueError as error:  # they do not fit together
        first = played[0]
        return Grade(name, (), first.name, first.story, None, _in_words(str(error)))
    except (TypeError, pickle.PicklingError) as error:
        raise ShopError(f"this code cannot be carried to another process: {error}") from None
    passed: list[Passed] = []
    with progress(sum(map(len, codes)), name) as bar:
        for each, worlds in zip(played, codes, strict=True):
            bar.set_postfix_str(each.name)
            verdicts = list(_verdicts(worlds, graded, bar))
            if failure := _failure(each, verdicts, whole):
                return Grade(name, tuple(passed), each.name, each.story, *failure)
            states, seconds = (sum(it[i] for it in verdicts) for i in (0, 1))
            passed.append(Passed(each.name, states, seconds))
    return Grade(name, tuple(passed))


def _part(given: dict[str, Any]) -> Part | None:
    """The part of the machinery that is to be graded, if one is."""
    for name in given.keys() & PARTS.keys():
        names, part = PARTS[name][1], given[name]
        if len(given) == 1 and isinstance(part, Mapping) and {names[0]} <= {*part} <= {*names}:
            return part
        what = f"is a mapping with {' and '.join(names)}"
        its = shown([*part] if isinstance(part, Mapping) else part)
        raise ShopError(f"{name} is graded alone, and {what}, not {its}")
    return None


def _worlds(stage: Stage, graded: list[str], saga: Saga) -> list[bytes]:
    """A stage's worlds with this saga; if services have replicas in them, of those graded."""
    worlds = [it for it in stage.worlds if not it.replicas or it.replicas.keys() & {*graded}]
    return [pickled((replace(it, saga=saga), stage.model, None)) for it in worlds]


def _verdicts(worlds: list[bytes], graded: list[str], bar: Any) -> Iterator[Verdict]:
    """What each world comes to, in a process of its own; up to a complaint about the code."""
    for world in worlds:
        try:
            about = world, graded, os.getcwd(), SECONDS
            verdict = child.call(JUDGE, *about, seconds=BUSY * SECONDS)
        except TimeoutError:
            verdict = Verdict(complaint=no_end(graded, f"{BUSY * SECONDS} s"))
        except child.Died as death:
            verdict = Verdict(complaint=(f"the process that ran it is gone: {death}",))
            if "SIGXCPU" in str(death):
                verdict = Verdict(complaint=no_end(graded, f"{SECONDS} s of computing"))
        bar.update(1)
        yield verdict
        if verdict.complaint:
            return


def _failure(stage: Stage, verdicts: list[Verdict], saga: Saga) -> tuple[Any, ...] | None:
    """The shortest story in which a promise is violated, or none; what is to be said; symptoms."""
    if complaint := verdicts[-1].complaint:
        return None, _in_words(*complaint)
    found = [(len(it.violation.steps), n) for n, it in enumerate(verdicts) if it.violation]
    if not found:
        return None
    verdict = verdicts[min(found)[1]]
    story = Story(verdict.violation, saga, verdict.done)
    known = {it.name: it.sentence for world in stage.worlds for it in world.properties}
    promise = dict([QUIET_IS_REACHED], **known)[story.violation.promise].replace("\n", " ")
    return story, f"{story}\n\nWhat must hold: {promise}", verdict.symptoms


def _in_words(sentence: str, file: str = "", number: int = 0) -> str:
    """A complaint, with the line that it is about."""
    line = linecache.getline(file, number).strip()
    where = f"\n  line {number}: {line}" if number else ""
    return f"{sentence[0].upper()}{sentence[1:]}.{where}"
