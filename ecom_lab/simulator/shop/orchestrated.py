"""The orchestrated shop in the simulator: what its coordinator promises, and its ablations."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

from msgspec import structs

from ecom.events import CUSTOMER_CANCELLED, InventoryCommitted, OrderCancelled
from ecom.runtime.service import Work
from ecom.runtime.tables import Outbox
from ecom.sagas import orchestration
from ecom.sagas.orchestration import RefundMoney, ReleaseStock
from ecom.services import coordinator, inventory, payment
from ecom.services.coordinator import SUCCEEDED, UNDONE, Coordination, Step, Steps
from ecom.services.inventory import COMMITTED, HELD, Reservation
from ecom.services.order import CANCELLED, CONFIRMED
from ecom.services.payment import CAPTURED, Capture, Declined, Payment
from ecom_lab.simulator.ablations import handling
from ecom_lab.simulator.ablations.ablation import Change, ablation, performing, serving
from ecom_lab.simulator.ablations.sending import ForgetsAtStart
from ecom_lab.simulator.durability import StaleDisk
from ecom_lab.simulator.properties import ALWAYS, SETTLED, View, promises
from ecom_lab.simulator.scenario import Scenario
from ecom_lab.simulator.shop import outside
from ecom_lab.simulator.shop.ablations import one
from ecom_lab.simulator.shop.properties import PROPERTIES, orders
from ecom_lab.simulator.shop.scenario import USUAL, jobs, race
from ecom_lab.simulator.suites import Job

SAGA = orchestration.orchestration()
TABLE = orchestration.steps(orchestration.HOLD_SECONDS)
STEPS = TABLE.steps


# ── what the coordinator promises ─────────────────────────────────────────────────────────────
def _coordinations(view: View) -> list[Coordination]:
    return list(view.rows("coordinator", Coordination).values())


def _sent(view: View, service: str, order_id: str) -> set[str]:
    """The types of what a service has published of an order."""
    rows = view.rows(service, Outbox).values()
    return {row.type for row in rows if row.subject == order_id and row.exchange == "events"}


def _answers(view: View, order_id: str, kinds: tuple[type[Any], ...]) -> set[str]:
    return {it.key for it in kinds if it.key in _sent(view, it.producer, order_id)}


def undone_in_reverse(view: View) -> Iterator[str]:
    """A step is undone only when all that were begun after it are undone."""
    for row in _coordinations(view):
        sent = _sent(view, "coordinator", row.order_id)
        begun = [step for step in STEPS if step.undo and step.command.key in sent]
        for earlier, later in pairwise(begun):
            over = _answers(view, row.order_id, (*later.undone, *later.failed))
            if earlier.undo.key in sent and not over:
                unanswered = later.undo.key
                yield f"order {row.order_id}: {earlier.undo.key} before {unanswered} is answered"


def coordinations_end(view: View) -> Iterator[str]:
    """Every saga has succeeded or is undone."""
    for row in _coordinations(view):
        if row.state not in (SUCCEEDED, UNDONE):
            yield f"the saga of order {row.order_id} is {row.state} and nothing is under way"


def commands_answered(view: View) -> Iterator[str]:
    """Every command is answered, or its step is undone."""
    for row in _coordinations(view):
        sent = _sent(view, "coordinator", row.order_id)
        for step in STEPS:
            answers = _answers(view, row.order_id, (step.done, *step.failed))
            undone = any(it.undo.key in sent for it in STEPS if it.undo)
            if step.command.key in sent and not answers and not undone:
                yield f"order {row.order_id}: nothing became of {step.command.key}"


def coordinator_agrees(view: View) -> Iterator[str]:
    """The coordinator and all who take part believe the same of each order."""
    stock, paid = view.rows("inventory", Reservation), view.rows("payment", Payment)
    for row in _coordinations(view):
        states = [getattr(rows.get(row.order_id), "state", "none") for rows in (stock, paid)]
        order = orders(view)[row.order_id].state
        succeeded = (order, *states) == (CONFIRMED, COMMITTED, CAPTURED)
        undone = order == CANCELLED and not {HELD, COMMITTED, CAPTURED}.intersection(states)
        if not {SUCCEEDED: succeeded, UNDONE: undone}.get(row.state, True):
            yield f"the saga of order {row.order_id} is {row.state}, its parts {order}, {states}"


def pivot_holds(view: View) -> Iterator[str]:
    """Once its stock is committed, only its customer can cancel an order."""
    for order_id, order in orders(view).items():
        committed = InventoryCommitted.key in _sent(view, "inventory", order_id)
        if committed and order.state == CANCELLED and order.reason != CUSTOMER_CANCELLED:
            yield f"order {order_id} had its stock committed, and was cancelled: {order.reason}"


COORDINATED = (
    *PROPERTIES,
    *promises(ALWAYS, undone_in_reverse),
    *promises(SETTLED, coordinations_end, commands_answered, coordinator_agrees, pivot_holds),
)


# ── its worlds ────────────────────────────────────────────────────────────────────────────────
def orchestrated(scenario: Scenario) -> Scenario:
    """The same world, with a coordinator."""
    return replace(scenario, saga=SAGA, properties=COORDINATED)


def orchestrated_jobs(count: int, faults: int) -> list[Job]:
    """The worlds of the choreographed shop, and one with two processes of the coordinator."""
    pair = race(count, min(faults, 1 if count == 1 else 0))
    worlds = [job.scenario for job in jobs(count, faults)]
    worlds.append(replace(pair, kinds=USUAL, replicas={"coordinator": 2}))
    return [Job(orchestrated(world)) for world in worlds]


CALM = orchestrated(race(1, faults=0))
# Two customers, of whom one can pay.
APART = orchestrated(race(2, faults=0, declined=1))
DECLINED = orchestrated(race(1, faults=0, declined=1))
DISORDERLY = one("disorder", world=CALM)


# ── ways to build it wrong ────────────────────────────────────────────────────────────────────
class ByTypeAlone(Steps):
    """An answer is taken for that of any order which waits for one of its type."""

    def proceed(self, answer: Any, work: Work) -> None:
        awaiting = {step.doing for step in self.steps if type(answer) is step.done}
        waiting = [row for row in work[Coordination].where() if row.state in awaiting]
        order_id = waiting[0].order_id if waiting else answer.order_id
        super().proceed(structs.replace(answer, order_id=order_id), work)


class AnyAnswer(Steps):
    """An answer that comes late is taken for that of the step under way."""

    def proceed(self, answer: Any, work: Work) -> None:
        row = work[Coordination][answer.order_id]
        if any(row.state == step.undoing for step in self.steps):
            self._undo(row, work)
        else:
            super().proceed(answer, work)


class ForwardAnyway(Steps):
    """What a step answers late leads on, though the saga has turned back."""

    def proceed(self, answer: Any, work: Work) -> None:
        row = work[Coordination][answer.order_id]
        turned = [step.doing for step in self.steps if row.state == step.undoing]
        if turned and any(type(answer) is step.done for step in self.steps):
            self._take(structs.replace(row, begun=(*row.begun, *turned)), work)
        else:
            super().proceed(answer, work)


class FirstToLast(Steps):
    """Steps are undone in the order in which they were taken."""

    def _undo(self, row: Coordination, work: Work) -> None:
        undoing = any(row.state == step.undoing for step in self.steps)
        super()._undo(row if undoing else structs.replace(row, begun=row.begun[::-1]), work)


class LastOnly(Steps):
    """Only the last step is undone."""

    def _undo(self, row: Coordination, work: Work) -> None:
        undoing = any(row.state == step.undoing for step in self.steps)
        super()._undo(structs.replace(row, begun=()) if undoing else row, work)


class UndoUntold(Steps):
    """A step fails, all is undone, and the order is not told."""

    def _fail(self, row: Coordination, reason: str, work: Work) -> None:
        self._undo(row, work)


class DeafToCustomers(Steps):
    """A customer who cancels while a step is under way is not heard."""

    def turn_back(self, cancelled: OrderCancelled, work: Work) -> None:
        row = work[Coordination].get(cancelled.order_id)
        if row is None or not any(row.state == step.doing for step in self.steps):
            super().turn_back(cancelled, work)


class BeginsAnyway(Steps):
    """An order that is cancelled before the coordinator hears of it is begun all the same."""

    def turn_back(self, cancelled: OrderCancelled, work: Work) -> None:
        if work[Coordination].get(cancelled.order_id) is not None:
            super().turn_back(cancelled, work)


class SureOfSilence(Steps):
    """A step that was not answered in time is taken as not done."""

    def give_up(self, overdue: Any, work: Work) -> None:
        row = work[Coordination][overdue.order_id]
        work[Coordination].put(structs.replace(row, begun=row.begun[:-1]))
        super().give_up(overdue, work)


class Forgetful(ForgetsAtStart):
    """How far a saga has come is kept in the coordinator's memory."""

    kind = Coordination


def _led_by(weak: type[Steps], change: Callable[[list[Step]], list[Step]] = list) -> Change:
    """A coordinator of such steps; its story is that of the kind, or of the change to the table."""
    service = coordinator.service(weak(change([*STEPS]), TABLE.reject))
    led = serving("coordinator", lambda _: service)
    led.__doc__ = (weak if change is list else change).__doc__
    return led


def _by_type_alone(scenario: Scenario) -> Scenario:
    # Of two safeguards, of which either hides that the other is missing.
    return handling.by_number(_led_by(ByTypeAlone)(scenario))


def _impatient(steps: list[Step]) -> list[Step]:
    """The pivot is given up when its answer takes long, as if it could be undone."""
    return [step._replace(patience=1.0 if step.doing == "COMMITTING" else None) for step in steps]


def _confirming_first(steps: list[Step]) -> list[Step]:
    """The order is confirmed before the step that may still fail."""
    return [*steps[:2], steps[3], steps[2]]


_ROWS = {
    "by-type-alone": (_by_type_alone, APART),
    "any-answer": (_led_by(AnyAnswer), CALM),
    "forward-anyway": (_led_by(ForwardAnyway), CALM),
    "first-to-last": (_led_by(FirstToLast), CALM),
    "last-only": (_led_by(LastOnly), CALM),
    "undo-untold": (_led_by(UndoUntold), CALM),
    "deaf-to-customers": (_led_by(DeafToCustomers), CALM),
    "begins-anyway": (_led_by(BeginsAnyway), DISORDERLY),
    "sure-of-silence": (_led_by(SureOfSilence), CALM),
    "forgetful": (Forgetful, one("crash", world=CALM)),
    "pivot-retried": (_led_by(Steps, _impatient), CALM),
    "confirmed-first": (_led_by(Steps, _confirming_first), CALM),
    "two-coordinators": (StaleDisk, replace(CALM, replicas={"coordinator": 2})),
    "command-twice": (performing("payment", outside.Keyless(Capture)), one("late", world=CALM)),
    "nothing-released": (("inventory", {ReleaseStock: inventory.release_stock}), CALM),
    "nothing-refunded": (("payment", {RefundMoney: payment.undo_payment}), DISORDERLY),
    "declined-meanwhile": (("payment", {Declined: payment.card_declined}), DECLINED),
}
# Of those that do not tell it themselves.
_STORIES = {
    "by-type-alone": ByTypeAlone.__doc__,
    "two-coordinators": "Two coordinators read how far a saga has come, then write it.",
    "command-twice": "A command carries no idempotency key to the provider.",
    "nothing-released": "Inventory does not answer when there is nothing to release.",
    "nothing-refunded": "Payment does not answer when there is nothing to refund.",
    "declined-meanwhile": (
        "Payment does not answer when a card is declined that was to be refunded."
    ),
}
ABLATIONS = tuple(ablation(name, *row, _STORIES.get(name, "")) for name, row in _ROWS.items())
