"""A history as data: saved, replayed exactly, shrunk, told in words, drawn.

A `Step` names a move without any number of the world it was found in, so that another world of
the same scenario and design can repeat it.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ecom_lab.shop import EVENTS, SERVICES
from ecom_lab.simulator.model import Move, State, World
from ecom_lab.simulator.properties import Judge

FAULTS = {
    "crash": "its process dies {}",
    "power": "the power fails {}",
    "line": "it loses its connection {}",
    "return": "the broker has no queue for it",
    "store": "the database fails once, and it tries again",
    "handler": "its handler fails half done, and will be tried again",
    "duplicate": "the broker delivers it once more",
    "reply": "the answer to the customer is lost",
    "fails": "the call does not get through",
    "late": "the call gets through, its answer does not",
}


class Step(NamedTuple):
    """One move by name: who, what, about what, and the fault and where it struck (or empty)."""

    who: str
    replica: int
    what: str
    about: str
    fault: str = ""
    point: str = ""

    def __str__(self) -> str:
        return tell(self)


class Arrow(NamedTuple):
    """One line of a sequence diagram; `kind` is message, request, time, fault or start."""

    time: int
    source: str
    target: str
    label: str
    kind: str


def step_of(world: World, move: Move) -> Step:
    """The name of a move."""
    kind, replica, *about = move.what
    if kind in ("deliver", "read", "write"):
        letters = [_letter(world, *each) for each in about[0]]
        about = [f"{len(letters)} events"] if len(letters) > 2 else [", ".join(letters)]
    elif kind == "command":
        about = [f"{type(about[0]).__name__} {about[1]}"]
    fault, point = move.outcome.fault or ("", "")
    return Step(SERVICES[move.who], replica + 1, kind, " ".join(map(str, about)), fault, point)


def _letter(world: World, message: int, returned: int) -> str:
    it = world.post.messages[message]
    order_id = it.headers.get("ce-subject", "?")
    again = f" (again: {returned})" if returned else ""
    return f"{it.key} {order_id} {it.headers.get('ce-id', '')[:8]}{again}"


# ── save, replay, shrink ──────────────────────────────────────────────────────────────────────
class NotRepeatable(Exception):
    """This step cannot come next in this world: the trace is of another one."""


def save(steps: Iterable[Step], path: Path) -> None:
    """Write a trace as JSON lines."""
    path.write_text("".join(json.dumps(step) + "\n" for step in steps))


def load(path: Path) -> list[Step]:
    """Read what `save` wrote."""
    return [Step(*json.loads(line)) for line in path.read_text().splitlines()]


def replay(world: World, steps: Iterable[Step]) -> list[State]:
    """The states of this history, the first one first. Raises `NotRepeatable`."""
    states = [world.start()]
    for step in steps:
        move = _find(world, states[-1], step)
        if move is None:
            raise NotRepeatable(f"{tell(step)}: this cannot come next")
        states.append(world.after(states[-1], move))
    return states


def _find(world: World, state: State, step: Step) -> Move | None:
    moves = world.moves(state, world.scenario.faults)
    return next((move for move in moves if step_of(world, move) == step), None)


def broken(world: World, steps: Iterable[Step]) -> dict[str, int]:
    """The promises this history breaks, each with the number of steps after which it does.

    Steps that cannot come next are left out.
    """
    judge, state, found, n = Judge(world), world.start(), {}, 0
    for step in steps:
        move = _find(world, state, step)
        if move is not None:
            state, n = world.after(state, move), n + 1
            for problem in judge.problems(state, world.quiet(state)):
                found.setdefault(problem.invariant, n)
    return found


def shrink(world: World, steps: list[Step], invariant: str) -> list[Step]:
    """Leave out steps as long as what is left breaks the same promise."""
    shorter = True
    while shorter:
        shorter = False
        for i in range(len(steps) - 1, -1, -1):
            fewer = possible(world, steps[:i] + steps[i + 1 :], invariant)
            if fewer is not None and len(fewer) < len(steps):
                steps, shorter = fewer, True
                break
    return steps


def possible(world: World, steps: list[Step], invariant: str) -> list[Step] | None:
    """The steps that can be taken, up to where the promise is broken; None if it is not."""
    judge, state, taken = Judge(world), world.start(), []
    for step in steps:
        move = _find(world, state, step)
        if move is None:
            continue
        state = world.after(state, move)
        taken.append(step)
        if any(it.invariant == invariant for it in judge.problems(state, world.quiet(state))):
            return taken
    return None


# ── in words, and as arrows ───────────────────────────────────────────────────────────────────
def tell(step: Step) -> str:
    """One step as a sentence."""
    who = step.who if step.replica == 1 else f"{step.who} {step.replica}"
    doing = _DOING[step.what].format(who=who, about=_plainly(step))
    if not step.fault:
        return doing
    where = "between two steps" if step.point == "idle" else _where(step.point)
    fault = FAULTS[step.fault].format(where)
    return fault.replace("its", f"{who}'s", 1) if step.what == "crash" else f"{doing}, but {fault}"


_DOING = {
    "deliver": "{who} handles {about}",
    "read": "{who} reads its tables for {about}",
    "write": "{who} writes its tables for {about}",
    "command": "{about}",
    "answer": "{who} hears the answer to what it asked for",
    "timer": "{who} finds that the hold of order {about} has run out",
    "retry": "{who} tries again what failed",
    "again": "{who} sends or asks again what was put off",
    "restart": "{who} starts again, and finishes what its tables say is unfinished",
    "reconnect": "{who} connects again, and sends what is not confirmed",
    "crash": "{who}",
    "cut off": "{who} waits for a confirm",
}


def _plainly(step: Step) -> str:
    if step.what == "timer":
        return step.about.rsplit("/", 1)[-1]
    if step.what == "command":
        customer = step.about.split(" ")[1].split("/")[0].replace("-", " ")
        return f"{customer} {'orders' if step.about.startswith('PlaceOrder') else 'cancels'}"
    if step.what not in ("deliver", "read", "write"):
        return ""
    letters = [each.split(" ")[:2] for each in step.about.split(", ")]
    if letters[0][1] == "events":
        return step.about
    return " and ".join(
        "what is no event" if order == "?" else f"{key} of order {order}" for key, order in letters
    )


def _where(point: str) -> str:
    name = point.rstrip(" 0123456789")
    return name if name.startswith("after ") else f"before {name}"


def arrows(steps: Iterable[Step]) -> list[Arrow]:
    """The history as lines of a sequence diagram."""
    lines = []
    for time, step in enumerate(steps, 1):
        who = step.who if step.replica == 1 else f"{step.who} {step.replica}"
        source, label, kind = _arrow(step, who)
        lines.append(Arrow(time, source, who, label, kind))
        if step.fault:
            where = "" if step.point == "idle" else f" {_where(step.point)}"
            lines.append(Arrow(time, who, who, f"{step.fault}{where}", "fault"))
    return lines


def _arrow(step: Step, who: str) -> tuple[str, str, str]:
    if step.what in ("deliver", "read", "write"):
        keys = [each.split(" ")[0] for each in step.about.split(", ")]
        if keys[0] not in EVENTS:
            return who, step.about, "message"
        first = EVENTS[keys[0]].producer
        mark = "" if step.what == "deliver" else f" ({step.what})"
        return first, ", ".join(dict.fromkeys(keys)) + mark, "message"
    if step.what == "command":
        return "customer", _plainly(step).rsplit(" ", 1)[-1], "request"
    if step.what == "answer":
        return {"payment": "provider"}.get(step.who, who), "answer", "message"
    if step.what in ("timer", "retry", "again"):
        return "clock", {"timer": "the hold runs out"}.get(step.what, "try again"), "time"
    return who, step.what, "start"
