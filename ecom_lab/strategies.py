"""Hypothesis strategies for tests of a saga of your own: its events, and histories of a world."""

from functools import partial
from typing import Any, NamedTuple

import msgspec

from ecom.contract.contract import Event
from ecom.errors import NotInstalled
from ecom.runtime.saga import Saga
from ecom_lab.simulator.model import Model
from ecom_lab.simulator.properties import View, view_of
from ecom_lab.simulator.scenario import Scenario
from ecom_lab.simulator.suites import quietly
from ecom_lab.simulator.trace import Step, step_of

try:
    from hypothesis import strategies as st
except ModuleNotFoundError as error:
    raise NotInstalled("ecom_lab.strategies needs hypothesis: pip install hypothesis.") from error


class History(NamedTuple):
    """One history: what was done; the books at first, and after each step; and whether, at its end,
    nothing is under way any more."""

    steps: list[Step]
    books: list[View]
    settled: bool

    def __repr__(self) -> str:
        return "".join(f"\n{number:3}  {step}" for number, step in enumerate(self.steps, 1))


def events(saga: Saga) -> st.SearchStrategy[Event]:
    """Any event of a saga that can be read once it is published."""
    return st.one_of(*map(st.from_type, saga.contract.events)).filter(_is_readable)


def _is_readable(event: Event) -> bool:
    try:
        return bool(msgspec.json.decode(msgspec.json.encode(event), type=type(event)) == event)
    except msgspec.ValidationError:  # a field is out of its type's bounds
        return False


def histories(scenario: Scenario, longest: int = 200) -> st.SearchStrategy[History]:
    """Histories of a scenario, which may be too large to be explored: until nothing can come next,
    or `longest` steps are done. One that fails shrinks to few faults and few steps."""
    world = Model(scenario)
    return st.composite(lambda draw: quietly(partial(_walk, draw, world, longest)))()


def _walk(draw: Any, world: Model, longest: int) -> History:
    state, left, steps = world.start(), world.scenario.faults, list[Step]()
    books = [view_of(world, state)]
    while len(steps) < longest:
        moves = world.moves(state, draw(st.sampled_from((0, 0, 0, 0, 0, 0, left))))
        if not moves:
            break
        named = sorted((move.cost, step_of(world, move), n) for n, move in enumerate(moves))
        _, step, n = draw(st.sampled_from(named))
        left, state = left - moves[n].cost, world.after(state, moves[n])
        steps.append(step)
        books.append(view_of(world, state))
    return History(steps, books, world.quiet(state) > 0)
