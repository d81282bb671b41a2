"""One experiment: a crowd at a shop in trouble, and how many sales were lost, and to what.

All customers come at once and want one product. What they want, whose card is declined, which call
the provider fails and who is killed when follow from the seed. Stock is given out in the order in
which they came, so without kills, and with holds that outlast the payments, a run can be repeated
to the last number.
"""

import math
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import Any

from ecom.errors import ShopError
from ecom.events import CARD_DECLINED, HOLD_EXPIRED, INSUFFICIENT_STOCK
from ecom.sandbox.cards import DECLINED_CARD, GOOD_CARD
from ecom.settings import number
from ecom.shop.shop import Shop
from ecom_lab.shop import SERVICES

SKU, PRICE = "MOON", 9_900  # pence
UNITS, WEIGHTS = (1, 2, 3), (6, 3, 1)  # how many one customer wants, and how often
MOST = 1e9  # of seconds, or of what all want
SETTLE_SECONDS = 600.0  # the provider is asked until it answers, each time after up to 10 s

Order = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """How the orders ended: how many of each; `takings` is pence captured and kept."""

    confirmed: int
    lost_sales: int  # orders that ended otherwise: the next three, as a rule
    out_of_stock: int
    declined: int
    expired: int  # the hold ran out before the money came
    refunded: int  # … which then came, and went back
    retries: int  # calls of the payment provider beyond the first for each payment or refund
    units_left: int  # on the shelf
    takings: int
    balanced: bool  # whether the books are


def customers(orders: int, decline_rate: float, seed: int) -> list[Order]:
    """That many orders, as arguments of `Shop.place_many`. Raises `ShopError`."""
    if orders < 1:
        raise ShopError(f"An experiment needs at least one order, not {orders}.")
    number("The rate of declined cards", decline_rate, 0, 1)
    random, found = Random(f"customers/{seed}"), list[Order]()
    for n in range(1, orders + 1):
        units = random.choices(UNITS, WEIGHTS)[0]
        card = DECLINED_CARD if random.random() < decline_rate else GOOD_CARD
        line = {"sku": SKU, "quantity": units, "unit_price": PRICE}
        found.append({"customer": f"customer{n}@example.com", "card": card, "lines": [line]})
    return found


def shelves(orders: Iterable[Order], stock_share: float) -> dict[str, int]:
    """Stock for that share of all that the orders want, rounded up. Raises `ShopError`."""
    number("The share of stock", stock_share, 0, MOST)
    wanted = sum(line["quantity"] for order in orders for line in order["lines"])
    return {SKU: math.ceil(wanted * stock_share - 1e-9)}


def trouble(shop: Shop, failure_rate: float, seed: int) -> None:
    """Have the payment provider fail that share of its calls. Raises `ShopError`."""
    rate = number("The rate of failing calls", failure_rate, 0, 1)
    if rate == 1:
        raise ShopError("A provider whose every call fails is asked for ever: take less than 1.")
    shop.gateway(fail_before=rate, seed=seed)


def victims(seed: int) -> list[str]:
    """The services in the order in which they are killed."""
    return Random(f"kills/{seed}").sample(SERVICES, len(SERVICES))


def serve(shop: Shop, orders: list[Order], kill_interval: float, seed: int) -> Outcome:
    """Let the customers come, kill each service once, and wait until all is quiet.

    `kill_interval` is the seconds before each kill; who is killed is started again at once. 0: no
    kills. Raises `ShopError` as `Shop.settle` does, and for a shop where somebody was before.
    """
    number("The interval between kills", kill_interval, 0, MOST)
    if not shop.orders().empty:
        raise ShopError("One crowd a shop: open a new one, and let them in there.")
    shop.place_many(orders)
    for service in victims(seed) if kill_interval else ():
        time.sleep(kill_interval)
        shop.kill(service)
        shop.start(service)
    shop.settle(SETTLE_SECONDS)
    return outcome(shop)


def outcome(shop: Shop) -> Outcome:
    """How the orders of a quiet shop ended."""
    orders, books = shop.orders(), shop.books()
    why = Counter(orders[orders.state == "CANCELLED"].reason)
    calls = shop.table("payment", "effects").attempts
    return Outcome(
        confirmed=books.confirmed,
        lost_sales=books.orders - books.confirmed,
        out_of_stock=why[INSUFFICIENT_STOCK],
        declined=why[CARD_DECLINED],
        expired=why[HOLD_EXPIRED],
        refunded=int((shop.ledger().outcome == "refunded").sum()),
        retries=int((calls - 1).clip(lower=0).sum()),
        units_left=int(shop.stock().available.sum()),
        takings=books.kept,
        balanced=books.balanced,
    )
