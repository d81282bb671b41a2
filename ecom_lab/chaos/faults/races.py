"""One unit left, fifty buyers, several inventories: exactly one of the buyers gets it."""

from collections.abc import Callable, Iterator

from ecom.sandbox.cards import GOOD_CARD
from ecom.services.inventory import Stock
from ecom.stores.reader import Reader
from ecom_lab.chaos.testbed import Testbed
from ecom_lab.chaos.workload import Customer

BUYERS = 50


def buyers(orders: int, seed: int) -> list[Customer]:
    """Fifty customers a product; all can pay, and none has second thoughts."""
    wanted = [((f"LAST-{n // BUYERS}", 1),) for n in range(orders)]
    return [
        Customer(f"s{seed}-c{n}@example.com", GOOD_CARD, lines) for n, lines in enumerate(wanted)
    ]


def last_units(orders: int) -> dict[str, int]:
    """One unit of each product."""
    return {f"LAST-{n}": 1 for n in range(orders // BUYERS)}


def race(inventories: int) -> Callable[[Testbed], Iterator[str]]:
    """Fifty buyers a round, and so many inventory processes on one queue and one database."""

    def inject(bed: Testbed) -> Iterator[str]:
        for number in range(2, inventories + 1):
            bed.runner.start("inventory", replica=str(number))
        for _ in range(bed.rounds):
            bed.workload.release(BUYERS)
            yield f"races of {BUYERS} for one unit, {inventories} inventories"
        bed.workload.finish(bed.rounds + 60)
        bed.runner.settle(60 + bed.rounds)
        _judge(bed)

    return inject


def _judge(bed: Testbed) -> None:
    with Reader(bed.runner.folder) as read:
        stock = read["inventory"].values(Stock, "sku", "committed")
    problems = [f"{sku} has {winners} winners" for sku, winners in stock if winners != 1]
    bed.problems.extend(problems)
