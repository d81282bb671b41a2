"""Random histories through both sagas, held against the one table of outcomes."""

from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Any

from ecom_lab.simulator.scenario import Scenario
from ecom_lab.simulator.shop.orchestrated import orchestrated
from ecom_lab.simulator.shop.outcomes import CASES, Row, allowed, watched
from ecom_lab.simulator.shop.scenario import USUAL, Wish, shop
from ecom_lab.simulator.suites import walks

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
