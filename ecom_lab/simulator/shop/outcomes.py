"""How an order may end, as a table: the oracle for every saga that the shop can play."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from ecom.events import CARD_DECLINED, CUSTOMER_CANCELLED, HOLD_EXPIRED, INSUFFICIENT_STOCK
from ecom.sandbox.cards import DECLINED_CARD, ERROR_CARD, GOOD_CARD
from ecom.services.order import CONFIRMED
from ecom_lab.simulator.properties import SETTLED, Property, View
from ecom_lab.simulator.scenario import Scenario
from ecom_lab.simulator.shop.properties import orders
from ecom_lab.simulator.shop.scenario import Wish, shop
from ecom_lab.simulator.suites import Job, explore

# By what the shelf has and what the card does; a deadline may come at any time, so it races.
_ALLOWED = {
    (1, GOOD_CARD): {CONFIRMED, HOLD_EXPIRED},
    (1, DECLINED_CARD): {CARD_DECLINED, HOLD_EXPIRED},
    (1, ERROR_CARD): {HOLD_EXPIRED},
    (0, GOOD_CARD): {INSUFFICIENT_STOCK},
    (0, DECLINED_CARD): {INSUFFICIENT_STOCK},
    (0, ERROR_CARD): {INSUFFICIENT_STOCK},
}


Row = tuple[int | None, str, bool]  # units on the shelf, card, whether the customer may cancel


def allowed(units: int | None, card: str, may_cancel: bool) -> frozenset[str]:
    """How an order may end: CONFIRMED, or the reasons for which it may be cancelled. Without
    `units` there are some, and not enough for all who want them."""
    known = (0, 1) if units is None else (units,)
    ends = {end for it in known for end in _ALLOWED[it, card]}
    return frozenset(ends | ({CUSTOMER_CANCELLED} if may_cancel else set()))


CASES = [(*known, may_cancel) for known, may_cancel in product(_ALLOWED, (False, True))]  # all rows


def world(units: int, card: str, may_cancel: bool) -> Scenario:
    """The world of one row, without faults."""
    return shop((Wish(card=card, may_cancel=may_cancel),), (("TEAPOT", units),), faults=0)


Ends = tuple[tuple[str, str], ...]  # customer, and how their order has ended


def watched(scenario: Scenario) -> tuple[Scenario, set[Ends]]:
    """The same world; and the ends of its orders, which are added to this set whenever a state is
    judged in which all is settled."""
    seen: set[Ends] = set()

    def look(view: View) -> Iterator[str]:
        ends = ((it.customer, it.reason or it.state) for it in orders(view).values())
        seen.add(tuple(sorted(ends)))
        yield from ()

    watching = Property("outcome", "How the orders end.", SETTLED, look)
    return replace(scenario, properties=(*scenario.properties, watching)), seen


def reached(scenario: Scenario) -> set[str]:
    """How the one order in this world can end; every way there is explored."""
    watching, seen = watched(scenario)
    result = explore(Job(watching))
    assert result.exhaustive
    assert not result.violations, result.violations
    return {end for ends in seen for _, end in ends}
