"""Counterexamples as a notebook sees them: the shortest story in which a promise is violated, in
words, and drawn as lines between those who take part."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest

from ecom.harness.history.diagram import Diagram
from ecom.harness.history.diagram import Step as Line
from ecom.runtime.saga import Saga
from ecom_lab.simulator.checker import Violation
from ecom_lab.simulator.inputs import AWAITED
from ecom_lab.simulator.model import Model
from ecom_lab.simulator.scenario import Scenario
from ecom_lab.simulator.suites import Job, explore, quietly
from ecom_lab.simulator.trace import DELIVERED, Given, Step, replay, where_struck


@dataclass(frozen=True, repr=False)
class Story:
    """The shortest history that violates a promise; its text tells it step by step."""

    violation: Violation
    saga: Saga
    done: tuple[list[Line], ...] = ()  # by each step: states changed, and what was done outside

    @property
    def diagram(self) -> Diagram:
        """The same as a picture."""
        failures = {event.key for event in self.saga.contract.events if event.failure}
        places = ("customer", *self.saga.contract.services)
        return diagram(self.violation.steps, self.violation.problem, failures, places, self.done)

    def __repr__(self) -> str:
        return str(self.violation)


def shortest(scenario: Scenario) -> Story | None:
    """The shortest story in this world; None if no promise is violated."""
    violations = explore(Job(scenario)).violations
    if not violations:
        return None
    shown = quietly(lambda: tuple(done(Model(scenario), violations[0].steps)))
    return Story(violations[0], scenario.saga, shown)


def diagram(
    steps: Iterable[Step],
    title: str,
    failures: Collection[str] = (),
    places: Sequence[str] = (),
    done: Iterable[list[Line]] = (),
) -> Diagram:
    """The picture of a history, with what was `done` by each step; for the rest see `Diagram`."""
    lines: list[Line] = []
    for step, more in zip_longest(steps, done, fillvalue=[]):
        drawn = list(_lines(step))
        struck = len(drawn) - bool(step.fault)  # what has struck, struck afterwards
        lines += [*drawn[:struck], *more, *drawn[struck:]]
    return Diagram(title, lines, failures, places)


def done(world: Model, steps: Sequence[Step]) -> Iterator[list[Line]]:
    """For each step, a line for each row whose state it changes, and for each call outside."""
    for step, (before, after) in zip(steps, pairwise(replay(world, steps)), strict=True):
        who, lines = world.names.index(step.who), []
        old, new = world.local(before, who), world.local(after, who)
        for kind in world.scenario.saga.services[step.who].rows:
            known = old.tables.get(kind, {})
            for key, row in new.tables.get(kind, {}).items():
                was, now = (getattr(it, "state", None) for it in (known.get(key), row))
                if was != now:
                    change = " → ".join(filter(None, (was, now)))
                    lines.append(Line("state", step.name, step.name, change))
        if outside := world.scenario.outside.get(step.who):
            call = "mail" if outside.call == "mail" else "effect"
            for booking in new.ledger[len(old.ledger) :]:
                label = getattr(booking, "kind", outside.call)
                lines.append(Line(call, step.name, outside.name, label))
        yield lines


def _lines(step: Step) -> Iterator[Line]:
    for given in step.inputs:
        source = re.sub(r"-\d+$", "", given.source) or "?"  # one of many clients alike
        kind, label = _told(given)
        yield Line(kind, source, step.name, label)
    if step.fault:
        where = "" if step.point == "idle" else f" {where_struck(step.point)}"
        yield Line("crash", step.name, step.name, f"{step.fault}{where}")


def _told(given: Given) -> tuple[str, str]:
    about = given.about.partition(" #")[0]
    if given.kind in DELIVERED:
        keys = dict.fromkeys(each.partition(" of ")[0] for each in given.about.split(", "))
        mark = "" if given.kind == "deliver" else f" ({given.kind})"
        return "event", ", ".join(keys) + mark
    if given.kind in ("command", "timer", "answer"):
        return given.kind, about
    if given.kind in ("adopt", "tick"):
        return "timer", "try again"
    if given.kind in AWAITED:
        return "timer", f"try again: {about.partition(' of ')[0]}"
    return "state", given.kind
