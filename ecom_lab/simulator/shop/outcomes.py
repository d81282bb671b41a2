"""How an order may end, as a table: the oracle for every saga that the shop can play, against which
random histories through both are held."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import product
from random import Random
from typing import Any

from ecom.events import CARD_DECLINED, CUSTOMER_CANCELLED, HOLD_EXPIRED, INSUFFICIENT_STOCK
from ecom.sandbox.cards import DECLINED_CARD, ERROR_CARD, GOOD_CARD
from ecom.services.order import CONFIRMED
from ecom_lab.simulator.properties import SETTLED, Property, View
from ecom_lab.simulator.scenario import Scenario
from ecom_lab.simulator.shop.orchestrated import orchestrated
from ecom_lab.simulator.shop.properties import orders
from ecom_lab.simulator.shop.scenario import USUAL, Wish, shop
from ecom_lab.simulator.suites import Job, explore, walks

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


Ended = tuple[tuple[str, str], ...]  # customer, and how their order has ended


def watched(scenario: Scenario) -> tuple[Scenario, set[Ended]]:
    """The same world; and the ends of its orders, which are added to this set whenever a state is
    judged in which all is settled."""
    seen: set[Ended] = set()

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


# ── both sagas, held against the table ────────────────────────────────────────────────────────
CARDS = tuple(dict.fromkeys(card for _, card, _ in CASES))
SAGAS: dict[str, Callable[[Scenario], Scenario]] = {
    "choreography": lambda scenario: scenario,
    "orchestration": orchestrated,
}

Ends = dict[tuple[str, Row], set[str]]  # how orders have ended, by saga and row of the table


def rows_of(wishes: tuple[Wish, ...], units: int) -> dict[str, Row]:
    """The row of each customer, by address, where so many units are left of what all want."""
    left = 0 if units == 0 else 1 if units >= len(wishes) else None
    rows = ((left, wish.card, wish.may_cancel) for wish in wishes)
    return {f"customer-{i}@example.org": row for i, row in enumerate(rows)}


def drawn(chance: Random) -> tuple[tuple[Wish, ...], int]:
    """Up to three customers, with one card or another, and units of what all of them want."""
    wishes = tuple(
        Wish(card=chance.choice(CARDS), may_cancel=chance.random() < 0.5)
        for _ in range(chance.randint(1, 3))
    )
    return wishes, chance.randint(0, len(wishes))


def compared(
    worlds: Iterable[int], each: int, ends: Ends, tick: Any = lambda: None
) -> Iterator[str]:
    """Walk `each` histories in each of these random worlds, with faults and deadlines, through
    either saga; yields whatever violates a promise, or is not in the table."""
    for seed in worlds:
        wishes, units = drawn(Random(seed))
        rows = rows_of(wishes, units)
        crowd = shop(wishes, (("TEAPOT", units),), faults=2, kinds=USUAL)
        for saga, played in SAGAS.items():
            scenario, seen = watched(played(crowd))
            for walk in walks(scenario, range(each), are_patient=True):
                tick()
                if walk.promise:
                    yield f"{saga}, world {seed}, walk {walk.seed}: {walk.promise}: {walk.problem}"
            for customer, end in sorted({it for settled in seen for it in settled}):
                ends.setdefault((saga, rows[customer]), set()).add(end)
                if end not in allowed(*rows[customer]):
                    yield f"{saga}, world {seed}: {rows[customer]} ended as {end}"


def unreached(ends: Ends) -> Iterator[str]:
    """What the table allows, and no history has come to."""
    for (saga, row), found in ends.items():
        for end in sorted(allowed(*row) - found):
            yield f"{saga}: no {row} ended as {end}"
