"""One unit left, fifty buyers, several inventories: exactly one of the buyers gets it."""

from collections.abc import Callable, Iterator

from ecom.sandbox.cards import GOOD_CARD
from ecom.stores.reader import rows
from ecom_lab.chaos.fault import Fault, Size
from ecom_lab.chaos.testbed import Stage
from ecom_lab.chaos.workload import Wish

BUYERS = 50


def buyers(orders: int, seed: int) -> list[Wish]:
    """Fifty customers a product; all can pay, and none has second thoughts."""
    return [
        Wish(f"s{seed}-c{n}@example.com", GOOD_CARD, ((f"LAST-{n // BUYERS}", 1),), False, False)
        for n in range(orders)
    ]


def last_units(orders: int) -> dict[str, int]:
    """One unit of each product."""
    return {f"LAST-{n}": 1 for n in range(orders // BUYERS)}


def race(inventories: int) -> Callable[[Stage], Iterator[str]]:
    """Fifty buyers a round, and so many inventory processes on one queue and one database."""

    def inject(stage: Stage) -> Iterator[str]:
        for number in range(2, inventories + 1):
            stage.shop.start("inventory", replica=str(number))
        for _ in range(stage.rounds):
            stage.load.release(BUYERS)
            yield f"races of {BUYERS} for one unit, {inventories} inventories"
        stage.load.finish(stage.rounds + 60)
        stage.shop.settle(60 + stage.rounds)
        _judge(stage)

    return inject


def _judge(stage: Stage) -> None:
    query = "SELECT sku, committed FROM stock WHERE committed != 1"
    for sku, winners in rows(stage.shop.folder, "inventory", query):
        stage.problems.append(f"{sku} has {winners} winners")


FAULTS = tuple(
    Fault(
        f"last-unit-{count}", f"one unit, {BUYERS} buyers, {count} inventories",
        race(count), small=Size(BUYERS * 3, 3), full=Size(BUYERS * 300, 300), bites=False,
        wishes=buyers, shelves=last_units,
    )
    for count in (2, 4)
)  # fmt: skip
