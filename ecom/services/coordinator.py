"""The coordinator: takes each order through the steps of its saga, and back where one fails.

It knows no step by name: a saga hands it a table of them (see `ecom.sagas.orchestration`). Steps
are taken one after the other. When the order is cancelled, by its customer or as a step has failed,
those that were begun are undone in reverse; what such a step answers late changes nothing. A
command that fails is tried again by whoever was told; one that is given up is a dead letter there,
and its saga waits, in sight, until a person decides.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from ecom.events import HOLD_EXPIRED, AboutOrder, Line, OrderCancelled, OrderCreated, OrderEvent
from ecom.runtime.service import NOTHING, Handler, Service, Work
from ecom.stores.base import Row

SUCCEEDED, REJECTING, UNDONE = "SUCCEEDED", "REJECTING", "UNDONE"


class Step(NamedTuple):
    """One step: the command that takes it, its answers, and how it is undone, if it can be."""

    doing: str  # its name, which stays its own: the state in which its answer is awaited
    command: type[OrderEvent]
    done: type[OrderEvent]
    failed: tuple[type[OrderEvent], ...] = ()  # of it, or of an earlier one meanwhile
    undoing: str = ""
    undo: type[OrderEvent] | None = None
    undone: tuple[type[OrderEvent], ...] = ()
    patience: float | None = None  # seconds for the answer; None: as long as it takes


class Coordination(Row, frozen=True):
    """How far the saga of one order has come, and all that its commands say."""

    table = "coordinations"

    order_id: str
    state: str
    customer: str
    begun: tuple[str, ...] = ()  # the steps that were, by name, and are neither refused nor undone
    card: str = ""
    total: int = 0
    lines: tuple[Line, ...] = ()
    reason: str = ""  # for which it was rejected
    saga: str = ""


class Overdue(AboutOrder, frozen=True):
    """Timer: the step under way should have been answered by now."""


class Steps:
    """A saga's steps, and what of them follows from each message.

    An order that was begun by an earlier table goes on after the step that it has come to, and what
    it has begun is undone, wherever these stand now. One that this table lacks is an error.
    """

    def __init__(self, steps: Iterable[Step], reject: type[OrderEvent]) -> None:
        self.steps, self.reject = tuple(steps), reject
        self._places = {step.doing: place for place, step in enumerate(self.steps)}

    def begin(self, created: OrderCreated, work: Work) -> None:
        """Take the first step, unless the order was cancelled before we heard of it."""
        if work[Coordination].get(created.order_id) is None:
            about = created.customer, (), created.card, created.total, created.lines
            row = Coordination(created.order_id, NOTHING, *about, saga=work.saga)
            self._take(row, work)

    def proceed(self, answer: Any, work: Work) -> None:
        """An answer leads on, or back; one that is not awaited, as it is late, leads nowhere."""
        row = work[Coordination][answer.order_id]
        for step in self.steps:
            if row.state == step.doing and type(answer) is step.done:
                self._take(row, work)
            elif row.state == step.doing and type(answer) in step.failed:
                refused = answer.producer == step.done.producer
                begun = row.begun[:-1] if refused else row.begun
                self._fail(replace(row, begun=begun), answer.reason, work)
            elif row.state == step.undoing and isinstance(answer, step.undone):
                self._undo(row, work)
            else:
                continue
            return

    def give_up(self, overdue: Overdue, work: Work) -> None:
        """The step under way was not answered in time: whether it was taken is not known."""
        row = work[Coordination][overdue.order_id]
        if any(row.state == step.doing and step.patience is not None for step in self.steps):
            self._fail(row, HOLD_EXPIRED, work)

    def turn_back(self, cancelled: OrderCancelled, work: Work) -> None:
        """The order is cancelled: undo what was begun. Unless that was here before the order."""
        row = work[Coordination].get(cancelled.order_id)
        if row is None:
            unknown = Coordination(cancelled.order_id, UNDONE, cancelled.customer)
            work[Coordination].put(replace(unknown, saga=work.saga))
        elif not (row.state == UNDONE or any(row.state == step.undoing for step in self.steps)):
            self._undo(row, work)

    def _take(self, row: Coordination, work: Work) -> None:
        """Take the step after the last that was begun, or be done."""
        work.cancel_timer(Overdue, row.order_id)
        place = self._places[row.begun[-1]] + 1 if row.begun else 0
        if place == len(self.steps):
            work[Coordination].put(replace(row, state=SUCCEEDED))
            return
        step = self.steps[place]
        begun = (*row.begun, step.doing)
        work[Coordination].put(row := replace(row, state=step.doing, begun=begun))
        if step.patience is not None:
            work.set_timer(work.now + step.patience, Overdue(row.order_id))
        work.emit(_about(row, step.command))

    def _fail(self, row: Coordination, reason: str, work: Work) -> None:
        """The order is to be cancelled; when it is, its steps are undone."""
        work.cancel_timer(Overdue, row.order_id)
        work[Coordination].put(row := replace(row, state=REJECTING, reason=reason))
        work.emit(_about(row, self.reject))

    def _undo(self, row: Coordination, work: Work) -> None:
        """Undo the last step that was begun and can be undone, or be done."""
        work.cancel_timer(Overdue, row.order_id)
        for place in reversed(range(len(row.begun))):
            step = self.steps[self._places[row.begun[place]]]
            if step.undo:
                begun = row.begun[:place]
                work[Coordination].put(row := replace(row, state=step.undoing, begun=begun))
                work.emit(_about(row, step.undo))
                return
        work[Coordination].put(replace(row, state=UNDONE, begun=()))

    @property
    def forth(self) -> tuple[type[OrderEvent], ...]:
        """All that is published on the way forth, each after what it can follow from."""
        told = (kind for it in self.steps for kind in (it.command, it.done, *it.failed))
        return tuple(dict.fromkeys((OrderCreated, *told)))

    @property
    def back(self) -> tuple[type[OrderEvent], ...]:
        """All that is published on the way back."""
        undoing = [it for it in reversed(self.steps) if it.undo]
        return tuple(kind for it in undoing for kind in (it.undo, *it.undone) if kind)

    @property
    def handlers(self) -> dict[type[Struct], Handler]:
        """What handles each message."""
        answers = [kind for it in self.steps for kind in (it.done, *it.failed, *it.undone)]
        told: dict[type[Struct], Handler] = dict.fromkeys(answers, self.proceed)
        told |= {OrderCreated: self.begin, OrderCancelled: self.turn_back, Overdue: self.give_up}
        return told


def _about(row: Coordination, command: Any) -> Any:
    """The command, with what the row says."""
    return command(*(getattr(row, name) for name in command.__struct_fields__))


def service(steps: Steps) -> Service:
    """The coordinator of these steps."""
    return Service(name="coordinator", rows=(Coordination,), handlers=steps.handlers)
