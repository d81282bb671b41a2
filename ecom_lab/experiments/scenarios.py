"""Small scenes from the life of a shop, and how each should end: `data/scenarios.csv`, played.

Of a scene's orders it is promised how many end how: where they compete, no winner is named.
"""

from collections import Counter
from typing import Any

import pandas as pd

from ecom.settings import one_of
from ecom.shop.catalogue import price_of
from ecom.shop.shop import Shop
from ecom_lab.experiments import data_file

ENDS = ["scenario", "state", "reason"]
THEN = ("cancels at once", "cancels in the end")  # what a customer may do next


def table() -> pd.DataFrame:
    """All scenarios as they stand in the file, one order a row, for a shop with the catalogue's
    stock. Orders of one step come together, those of the next when all is quiet."""
    return pd.read_csv(data_file("scenarios.csv"), keep_default_na=False)


def lines_of(words: str) -> list[dict[str, Any]]:
    """The lines of an order, `2 TEAPOT, 1 KITE`, as `Shop.place_many` takes them."""
    wanted = (line.split(" ") for line in words.split(", "))
    return [{"sku": sku, "quantity": int(n), "unit_price": price_of(sku)} for n, sku in wanted]


def play(shop: Shop, *names: str) -> pd.DataFrame:
    """Play these scenarios (none: all of them) in a shop with the catalogue's stock, all at once.

    order_id, scenario, customer, lines, state, reason, as_promised, because: one row an order,
    in the order of the file.
    Raises `ShopError` for a scenario there is not, and as `Shop.place` and `Shop.settle` do.
    """
    wishes = table()
    known = wishes.scenario.unique()
    chosen = [one_of("scenario", name, known) for name in names or known]
    wishes = wishes[wishes.scenario.isin(chosen)]
    placed = pd.concat([_placed(shop, step) for _, step in wishes.groupby("step")]).sort_index()
    ended = shop.orders().set_index("order_id").loc[placed.order_id].drop(columns="total")
    ended.insert(0, "scenario", placed.scenario.array)
    promised, outcomes = (Counter(it[ENDS].itertuples(index=False)) for it in (placed, ended))
    broken = {scenario for scenario, *_ in promised - outcomes}
    ended["as_promised"] = ~ended.scenario.isin(broken)
    ended["because"] = placed.because.array
    return ended.reset_index()


def _placed(shop: Shop, wishes: pd.DataFrame) -> pd.DataFrame:
    """The orders of one step and their numbers, once customers have done what they do next."""
    orders = ({"customer": it.customer, "lines": lines_of(it.lines)} for it in wishes.itertuples())
    placed = wishes.assign(order_id=shop.place_many(orders))
    for when in THEN:
        for number in placed.order_id[placed.then == when]:
            shop.cancel(number)
        shop.settle()
    return placed
