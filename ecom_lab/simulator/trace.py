"""A history as data: repeated exactly in another world, told in words, drawn.

A `Step` names a move without any number of the world it was found in, so that another world of
the same scenario, with a safeguard less perhaps, can repeat it.
"""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from ecom.contract.topology import is_control
from ecom_lab.simulator.choices import Input
from ecom_lab.simulator.inputs import AWAITED
from ecom_lab.simulator.model import Model, Move, State
from ecom_lab.simulator.properties import Judge
from ecom_lab.simulator.scenario import FAULTS

DELIVERED = ("deliver", "overtake", "read", "write")
NO_EVENT = "what is no event"


class Given(NamedTuple):
    """One input by name: its kind, what it is about, and who it comes from."""

    kind: str
    about: str = ""
    source: str = ""


class Step(NamedTuple):
    """One move by name: who is given what, and the fault and where it struck (or empty)."""

    who: str
    replica: int
    inputs: tuple[Given, ...]
    fault: str = ""
    point: str = ""

    @property
    def name(self) -> str:
        """The process."""
        return self.who if self.replica == 1 else f"{self.who} {self.replica}"

    def as_json(self) -> dict[str, Any]:
        """As JSON values; of several inputs, `what` and `about` name all."""
        what, about = (", ".join(values) for values in list(zip(*self.inputs, strict=True))[:2])
        return {**self._asdict(), "what": what, "about": about}

    def __str__(self) -> str:
        """One sentence."""
        doing = _doing(self)
        if not self.fault or self.fault == "lost":
            return doing
        where = "between two steps" if self.point == "idle" else where_struck(self.point)
        fault = FAULTS.get(self.fault, "that kills its process").format(where)
        if self.inputs[0].kind in ("crash", "gone"):
            return fault.replace("its", f"{self.name}'s", 1)
        return f"{doing}, but {fault}"


def step_of(world: Model, move: Move) -> Step:
    """The name of a move."""
    replica, inputs = move.what
    who = world.names[move.who]
    given = tuple(_given(world, who, each) for each in inputs)
    return Step(who, replica + 1, given, *(move.outcome.fault or ("", "")))


def _given(world: Model, who: str, one: Input) -> Given:
    kind, *about = one
    if kind in DELIVERED:
        letters = ", ".join(_letter(world, *held) for held in about)
        sender = world.messages.values[about[0].message].user or "?"
        return Given(kind, letters, sender.partition(".")[2])
    if kind == "command":
        client = world.scenario.clients[about[2]].name
        return Given(kind, f"{in_words(type(about[0]).__name__)} #{about[1]}", client)
    if kind == "answer":
        outside = world.scenario.outside.get(who)
        said = in_words(about[1]) or about[1]  # by its type, or why there is none
        return Given(kind, f"{said} #{about[0]}", outside.name if outside else "broker")
    if kind == "timer":
        name, _, subject = about[0].partition("/")
        return Given(kind, f"{in_words(name)} of {world.noun} {subject}", "clock")
    if kind in AWAITED:
        id_, type_, subject = about
        said = f"{in_words(type_) or type_} of {world.noun} {subject}" if type_ else NO_EVENT
        return Given(kind, f"{said} #{id_}", "clock")
    return Given(kind, " ".join(about), "clock" if kind == "adopt" else who)


def _letter(world: Model, message: int, _: object, returned: int) -> str:
    it = world.messages.values[message]
    headers = it.headers
    if "ce-id" not in headers:
        return it.key if is_control(it.key) else NO_EVENT
    about = f"{headers['ce-type']} of {world.noun} {headers['ce-subject']} #{headers['ce-id'][:8]}"
    return f"{about} (again: {returned})" if returned else about


def in_words(name: str) -> str:
    """A command, an answer or a deadline by its type: `CancelOrder` → `cancel order`."""
    return " ".join(re.findall("[A-Z][a-z]*", name)).lower()


# ── in another world ──────────────────────────────────────────────────────────────────────────
class NotRepeatable(Exception):
    """This step cannot come next in this world: the trace is of another one."""


def replay(world: Model, steps: Iterable[Step]) -> list[State]:
    """The states of this history, the first one first. Raises `NotRepeatable`."""
    states = [world.start()]
    for step in steps:
        move = _find(world, states[-1], step)
        if move is None:
            raise NotRepeatable(f"{step}: this cannot come next")
        states.append(world.after(states[-1], move))
    return states


def broken(world: Model, steps: Iterable[Step]) -> dict[str, int]:
    """The promises this history violates, each with the number of steps after which it does.

    Steps that cannot come next are left out.
    """
    judge, state, found, n = Judge(world), world.start(), dict[str, int](), 0
    for step in steps:
        if (move := _find(world, state, step)) is not None:
            state, n = world.after(state, move), n + 1
            for problem in judge.problems(state, world.quiet(state)):
                found.setdefault(problem.name, n)
    return found


def _find(world: Model, state: State, step: Step) -> Move | None:
    moves = world.moves(state, world.scenario.faults)
    return next((move for move in moves if step_of(world, move) == step), None)


# ── in words ──────────────────────────────────────────────────────────────────────────────────
def _doing(step: Step) -> str:
    told = [_DOING[each.kind].format(who=step.name, **_words(each)) for each in step.inputs]
    if len(told) == 1:
        return told[0]
    if len(told) > 3 and all(each.kind == "deliver" for each in step.inputs):
        return f"{step.name} handles {len(told)} events, in one step"
    return f"{step.name}, in one step: {'; '.join(told)}"


_DOING = {
    "deliver": "{who} handles {about}",
    "overtake": "{who} handles {about}, ahead of what was before it in the queue",
    "read": "{who} reads its tables for {about}",
    "write": "{who} writes its tables for {about}",
    "command": "{source} asks: {about}",
    "answer": "{who} hears from the {source}: {about}",
    "timer": "{who} reaches the {about}",
    "retry": "{who} retries {about}",
    "again outbox": "{who} publishes {about} again",
    "again effects": "{who} retries {about}",
    "adopt": "{who} takes over what another replica has left, or not done yet",
    "tick": "{who} looks what waits",
    "tally due": "{who} says how many events it has published",
    "lost": "{who}'s queue is deleted, and made anew",
    "restart": "{who} starts again, and finishes what its tables say is unfinished",
    "reconnect": "{who} connects again, and sends what is not confirmed",
    "crash": "{who}",
    "gone": "{who}",
    "cut off": "{who} waits for a confirm",
}


def _words(given: Given) -> dict[str, str]:
    """What an input is about, and who it comes from, for people."""
    letters = [each.partition(" #")[0] for each in given.about.split(", ")]
    about = " and ".join(letters) if len(letters) < 3 else f"{len(letters)} events"
    return {"about": about, "source": given.source.replace("-", " ")}


def where_struck(point: str) -> str:
    """`publish 2` → `before publish`."""
    name = point.rstrip(" 0123456789")
    return name if name.startswith("after ") else f"before {name}"
