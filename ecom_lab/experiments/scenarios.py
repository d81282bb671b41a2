"""Small scenes from the life of a shop, and how each should end: `data/scenarios.csv`, played."""

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from ecom.errors import ShopError
from ecom.shop.catalogue import price_of
from ecom_lab.experiments import data_file

if TYPE_CHECKING:
    from ecom.shop.shop import Shop

AT_ONCE, IN_THE_END = "cancels at once", "cancels in the end"


class Wish(NamedTuple):
    """One order of a scenario, and what should become of it.

    Of a scenario's orders it is promised how many end how. Where they compete, the promise names
    no winner.
    """

    scenario: str
    step: int  # orders of one step come together, those of the next when all is quiet
    customer: str
    lines: str  # `2 TEAPOT, 1 KITE`
    then: str  # what the customer does next: nothing, or one of the two above
    state: str
    reason: str
    because: str

    def order(self) -> dict[str, Any]:
        """As `Shop.place_many` takes it."""
        wanted = [line.split(" ") for line in self.lines.split(", ")]
        lines = [
            {"sku": sku, "quantity": int(quantity), "unit_price": price_of(sku)}
            for quantity, sku in wanted
        ]
        return {"customer": self.customer, "lines": lines}


def table() -> pd.DataFrame:
    """All scenarios as they stand in the file, one order a row."""
    return pd.read_csv(data_file("scenarios.csv"), keep_default_na=False)


def scenarios() -> dict[str, list[Wish]]:
    """All scenarios by name, in the order of the file, for a shop with the catalogue's stock."""
    by_name = table().groupby("scenario", sort=False)
    return {name: [Wish(*row) for row in rows.values.tolist()] for name, rows in by_name}


def play(shop: "Shop", *names: str) -> pd.DataFrame:
    """Play these scenarios (none: all of them) in a shop with the catalogue's stock, all at once.

    order_id, scenario, customer, lines, state, reason, as_promised, because: one row an order,
    in the order of the file.
    Raises `ShopError` for a scenario there is not, and as `Shop.place` and `Shop.settle` do.
    """
    known = scenarios()
    if unknown := [name for name in names if name not in known]:
        raise ShopError(f"There is no scenario {unknown[0]!r}: choose of {', '.join(known)}.")
    wishes = [wish for name in names or known for wish in known[name]]
    placed: dict[str, Wish] = {}
    for step in sorted({wish.step for wish in wishes}):
        placed |= _place(shop, [wish for wish in wishes if wish.step == step])
    return _compared(shop, dict(sorted(placed.items(), key=lambda item: wishes.index(item[1]))))


def _place(shop: "Shop", wishes: list[Wish]) -> dict[str, Wish]:
    """Place the orders of one step, and let their customers do what they do next."""
    numbers = shop.place_many(wish.order() for wish in wishes)
    placed = dict(zip(numbers, wishes, strict=True))
    for when in (AT_ONCE, IN_THE_END):
        for number in [number for number, wish in placed.items() if wish.then == when]:
            shop.cancel(number)
        shop.settle()
    return placed


def _compared(shop: "Shop", placed: dict[str, Wish]) -> pd.DataFrame:
    """What became of each order, beside what was promised."""
    ended = shop.orders().set_index("order_id").loc[list(placed)].drop(columns="total")
    ended.insert(0, "scenario", [wish.scenario for wish in placed.values()])
    outcomes = Counter(zip(ended.scenario, ended.state, ended.reason, strict=True))
    promised = Counter((wish.scenario, wish.state, wish.reason) for wish in placed.values())
    broken = {name for name, *_ in promised - outcomes}
    ended["as_promised"] = ~ended.scenario.isin(broken)
    ended["because"] = [wish.because for wish in placed.values()]
    return ended.reset_index()
