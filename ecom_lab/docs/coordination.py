"""A coordinator's table of steps as a state machine: derived from the table, to be drawn."""

from collections.abc import Iterator

from msgspec import Struct

from ecom.events import OrderCancelled, OrderCreated
from ecom.runtime.service import NOTHING, Lifecycle
from ecom.services.coordinator import (
    REJECTING,
    SUCCEEDED,
    UNDONE,
    Coordination,
    Overdue,
    Step,
    Steps,
)
from ecom_lab.docs.states import StateMachine

Transition = tuple[str, type[Struct], str]


def machine(table: Steps) -> StateMachine:
    """The states that a saga goes through which is coordinated by this table."""
    return StateMachine(Coordination, Lifecycle(SUCCEEDED, transitions(table)))


def transitions(table: Steps) -> tuple[Transition, ...]:
    """From which state, upon which message, to which; the way forth first, then the way back."""
    return tuple(dict.fromkeys([*_forth(table.steps), *_back(table.steps)]))


def _forth(steps: tuple[Step, ...]) -> Iterator[Transition]:
    before: tuple[str, type[Struct]] = NOTHING, OrderCreated
    for step in steps:
        yield *before, step.doing
        before = step.doing, step.done
    yield *before, SUCCEEDED


def _back(steps: tuple[Step, ...]) -> Iterator[Transition]:
    undo = UNDONE  # how an order is undone that has come so far
    yield NOTHING, OrderCancelled, UNDONE
    for step in steps:
        for kind in (*step.failed, *([Overdue] if step.patience is not None else [])):
            yield step.doing, kind, REJECTING
        yield from ((step.undoing, kind, undo) for kind in step.undone)
        refused = any(kind.producer == step.done.producer for kind in step.failed)
        yield from [(REJECTING, OrderCancelled, undo)] * (refused and bool(step.undoing))
        undo = step.undoing or undo
        yield step.doing, OrderCancelled, undo
    yield REJECTING, OrderCancelled, undo
    yield SUCCEEDED, OrderCancelled, undo
