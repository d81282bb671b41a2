"""A coordinator's table of steps is exchanged while orders are under way."""

from dataclasses import replace

import pytest
from msgspec import Struct, structs

from ecom.events import InventoryExpired, OrderCancelled, OrderCreated, OrderEvent
from ecom.runtime.service import Service, timer_id
from ecom.runtime.tables import Timer
from ecom.sagas import orchestration
from ecom.sagas.choreography import saga_of
from ecom.services import audit, coordinator
from ecom.services.coordinator import Step, Steps
from ecom_lab.simulator.shop.orchestrated import CALM
from ecom_lab.simulator.suites import Job, explore


class PackParcel(orchestration.Command, frozen=True):
    """To shipping: pack the parcel."""

    key = "coordinator.pack-parcel"


class ParcelPacked(OrderEvent, frozen=True):
    """The parcel is packed."""

    key, producer = "shipping.packed", "shipping"


class Exchange(Struct, frozen=True):
    """Timer: the table is exchanged. It may come at any time, as every deadline may."""

    order_id: str


def pack(command, work):
    work.emit(ParcelPacked(command.order_id, command.customer))


class ByPosition(Steps):
    """How many steps were begun tells which is the next, and which are to be undone."""

    def _take(self, row, work):
        super()._take(self._counted(row), work)

    def _undo(self, row, work):
        super()._undo(self._counted(row), work)

    def _counted(self, row):
        begun = (step.doing for step in self.steps[: len(row.begun)])
        return structs.replace(row, begun=tuple(begun))


def exchanging(place, kind):
    """The shop with a coordinator whose table gets another step, at this place, at any moment."""
    known = orchestration.steps(900.0)
    packing = Step("PACKING", PackParcel, ParcelPacked, (InventoryExpired,))
    newer = kind([*known.steps[:place], packing, *known.steps[place:]], known.reject)
    older = kind(known.steps, known.reject)

    def handle(message, work):
        is_older = work[Timer].get(timer_id(Exchange, message.order_id))
        (older if is_older else newer).handlers[type(message)](message, work)

    def begin(created, work):
        work.set_timer(work.now, Exchange(created.order_id))
        handle(created, work)

    its = dict(orchestration.orchestration().services)
    led = dict.fromkeys(newer.handlers, handle) | {OrderCreated: begin, Exchange: lambda *_: None}
    its["coordinator"] = replace(coordinator.service(newer), handlers=led)
    its["shipping"] = Service("shipping", (), {PackParcel: pack})
    messages = (*newer.forth, newer.reject, OrderCancelled, *newer.back)
    its["audit"] = its["audit"].answering(dict.fromkeys(messages, audit.keep))
    return replace(CALM, saga=saga_of("orchestrated", messages, its.values()))


@pytest.mark.parametrize("place", range(5))
def test_a_table_may_be_exchanged_while_orders_are_under_way(place):
    """An order goes on after the step that it has come to, and what it has begun is undone."""
    result = explore(Job(exchanging(place, Steps)))
    assert result.exhaustive
    assert result.violations == []


def test_it_may_not_if_steps_are_known_by_their_number():
    """Then one is taken again, and never answered; or another one is undone."""
    found = explore(Job(exchanging(0, ByPosition), stop=False, enough=12_000)).violations
    assert {it.promise for it in found} >= {"coordinations-end", "cancelled-gives-back"}
    assert len(found[0].steps) <= 20
