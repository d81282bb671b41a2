"""The customers: they come or they do not, ask again until they are answered, and may cancel."""

from typing import Any, NamedTuple

from ecom.services.order import CancelOrder, PlaceOrder
from ecom_lab.simulator.enabled_actions import What
from ecom_lab.simulator.scenario import Wish
from ecom_lab.simulator.step import NOTHING

WANTS, PLACED, CANCELLING, DONE = range(4)


class Customer(NamedTuple):
    """How far one customer has come."""

    stage: int = WANTS
    attempt: int = 0  # how often they have asked in vain
    order_id: str = ""

    @property
    def is_free(self) -> bool:
        """Whether they may just as well stay away. Who has asked in vain asks again."""
        return not self.attempt and self.stage in (WANTS, PLACED)


def request(i: int, customer: Customer, wish: Wish, keys: bool) -> What | None:
    """What this customer asks for next, if anything; with an idempotency key if `keys`."""
    id_ = f"customer-{i}/{customer.stage != WANTS:d}/{customer.attempt}"
    if customer.stage == WANTS:
        key = f"wish-{i}" if keys else None
        address = f"customer-{i}@example.org"
        return ("command", 0, PlaceOrder(address, wish.card, wish.lines, key, f"{i}"), id_, i)
    if customer.stage == CANCELLING or (customer.stage == PLACED and wish.may_cancel):
        return ("command", 0, CancelOrder(customer.order_id), id_, i)
    return None


def answered(customers: tuple[Customer, ...], i: int, reply: Any) -> tuple[Customer, ...]:
    """The customers after one has asked, and was given this reply (or `NOTHING`)."""
    customer = customers[i]
    placing = customer.stage == WANTS
    if reply is NOTHING:
        stage = WANTS if placing else CANCELLING
        after = customer._replace(stage=stage, attempt=customer.attempt + 1)
    else:
        after = Customer(PLACED if placing else DONE, 0, reply)
    return (*customers[:i], after, *customers[i + 1 :])
