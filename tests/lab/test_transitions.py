"""The states that services declare, held to what their handlers are seen to do."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from ecom.harness.states import hopeful
from ecom.runtime.service import NOTHING, Handler, Service
from ecom.sagas.orchestration import HOLD_SECONDS, steps
from ecom.services import payment
from ecom.services.coordinator import Coordination
from ecom_lab.docs.coordination import transitions
from ecom_lab.shop import SAGA
from ecom_lab.simulator.checker import Explorer
from ecom_lab.simulator.model import Model
from ecom_lab.simulator.scenario import Scenario
from ecom_lab.simulator.shop.orchestrated import orchestrated
from ecom_lab.simulator.shop.scenario import Wish, race, shop

# Between them they show all that the services do: one customer who may cancel and whose card is
# good, or is declined; or who wants what is not on the shelf. Any deadline may come at any time,
# and one message may overtake another.
SCENARIOS = (
    replace(race(1, 1), kinds=("disorder",)),
    race(1, 0, declined=1),
    shop((Wish(may_cancel=True),), stock=(), faults=0),
)
Change = tuple[str, str, str, str]  # table, from, upon which message, to


class Watched:
    """A unit of work, or one of its tables, that notes how states change upon a message."""

    def __init__(self, real: Any, message: str, seen: set[Change]) -> None:
        self._real, self._message, self._seen = real, message, seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def __getitem__(self, key: Any) -> Any:
        found = self._real[key]
        is_table = isinstance(key, type)
        return Watched(found, self._message, self._seen) if is_table else found

    def put(self, row: Any) -> None:
        """Keep a row, and note its state if it is another than before."""
        self._note(row)
        self._real.put(row)

    def change(self, row: Any, **columns: Any) -> None:
        """The same of a row that is there."""
        self._note(msgspec.structs.replace(row, **columns))
        self._real.change(row, **columns)

    def _note(self, row: Any) -> None:
        if hasattr(row, "state"):
            old = self._real.get(getattr(row, row.__struct_fields__[0]))
            before = NOTHING if old is None else old.state
            if row.state != before:
                self._seen.add((row.table, before, self._message, row.state))


def watching(service: Service, seen: set[Change]) -> Service:
    """The same service, watched."""

    def watched(handler: Handler) -> Handler:
        return lambda message, work: handler(message, Watched(work, type(message).__name__, seen))

    handlers = {kind: watched(handler) for kind, handler in service.handlers.items()}
    return replace(service, handlers=handlers)


def seen_in(*scenarios: Scenario) -> set[Change]:
    """All changes of states in every history of these scenarios."""
    seen: set[Change] = set()
    for scenario in scenarios:
        saga = scenario.saga
        services = {name: watching(service, seen) for name, service in saga.services.items()}
        Explorer(Model(replace(scenario, saga=replace(saga, services=services)))).run()
    return seen


def declared() -> set[Change]:
    """What the services say of themselves."""
    return {
        (row.table, before, message.__name__, after)
        for service in SAGA.services.values()
        for row, lifecycle in service.transitions.items()
        for before, message, after in lifecycle.transitions
    }


def test_rows_change_their_state_exactly_as_declared():
    """No more ways and no fewer, in every order of events that there is."""
    assert seen_in(*SCENARIOS) == declared()


def test_no_fault_leads_to_another_state():
    """A crash at any moment, a lost answer, a repeated delivery: the same changes."""
    kinds = ("crash", "late", "duplicate", "disorder")
    faulty = [replace(scenario, faults=1, kinds=kinds) for scenario in SCENARIOS[:2]]
    assert seen_in(*faulty) == seen_in(*SCENARIOS[:2])


def test_a_coordinator_goes_the_ways_that_follow_from_its_table():
    """As they are drawn: no more and no fewer."""
    seen = seen_in(*map(orchestrated, SCENARIOS))
    ways = transitions(steps(HOLD_SECONDS))
    assert {change[1:] for change in seen if change[0] == Coordination.table} == {
        (before, message.__name__, after) for before, message, after in ways
    }


@pytest.mark.parametrize(("state", "expected"), [("PENDING", True), ("CANCELLED", False)])
def test_a_state_is_hopeful_while_success_is_possible(state, expected):
    """Derived from the declared ways: a tombstone leads to no captured money."""
    assert (state in hopeful(payment.service().transitions[payment.Payment])) == expected
