"""A history of the simulator as lines between those who take part: as a picture, for documents."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import pairwise, zip_longest
from typing import NamedTuple

from ecom.harness.history.diagram import Diagram
from ecom.harness.history.step import Step as Line
from ecom_lab.simulator.model import Model
from ecom_lab.simulator.trace import DELIVERED, Given, Step, replay, where_struck

KINDS = {"message": "event", "request": "command", "time": "timer", "fault": "crash"}
AGAIN = ("retry", "again", "adopt", "tick")


class Arrow(NamedTuple):
    """One line of a sequence diagram; `kind` is message, request, answer, time, fault or start."""

    time: int
    source: str
    target: str
    label: str
    kind: str


def arrows(steps: Iterable[Step]) -> Iterator[Arrow]:
    """The history as lines of a sequence diagram."""
    for time, step in enumerate(steps, 1):
        for given in step.inputs:
            source = re.sub(r"-\d+$", "", given.source) or "?"  # one of many clients alike
            yield Arrow(time, source, step.name, *_label(given))
        if step.fault:
            where = "" if step.point == "idle" else f" {where_struck(step.point)}"
            yield Arrow(time, step.name, step.name, f"{step.fault}{where}", "fault")


def _label(given: Given) -> tuple[str, str]:
    about = given.about.partition(" #")[0]
    if given.kind in DELIVERED:
        keys = dict.fromkeys(each.partition(" of ")[0] for each in given.about.split(", "))
        mark = "" if given.kind == "deliver" else f" ({given.kind})"
        return ", ".join(keys) + mark, "message"
    if given.kind in ("command", "timer"):
        return about, "request" if given.kind == "command" else "time"
    if given.kind in AGAIN:
        return "try again", "time"
    return given.kind, "answer" if given.kind == "answer" else "start"


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
        drawn = [_line(arrow) for arrow in arrows([step])]
        struck = len(drawn) - bool(step.fault)  # what has struck, struck afterwards
        lines += [*drawn[:struck], *more, *drawn[struck:]]
    return Diagram(title, lines, failures, places)


def _line(arrow: Arrow) -> Line:
    kind = KINDS.get(arrow.kind, "answer" if arrow.kind == "answer" else "state")
    return Line(kind, arrow.source, arrow.target, arrow.label)


def mermaid(lines: Iterable[Arrow]) -> str:
    """The history as a Mermaid `sequenceDiagram`."""
    told = [
        f"    Note over {line.target}: {line.label}"
        if line.source == line.target
        else f"    {line.source}->>{line.target}: {line.label}"
        for line in lines
    ]
    return "\n".join(["sequenceDiagram", *told])
