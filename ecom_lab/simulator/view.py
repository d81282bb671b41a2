"""A state as its judges see it: the tables of the services, and what the world knows."""

from typing import NamedTuple

from ecom.services.inventory import Reservation, Stock
from ecom.services.order import Order
from ecom_lab.simulator.customers import WANTS
from ecom_lab.simulator.model import CUSTOMERS, DEAD, State, World
from ecom_lab.simulator.scenario import Scenario
from ecom_lab.simulator.service_state import Local


class View(NamedTuple):
    """A state as the invariants see it."""

    scenario: Scenario
    order: Local
    inventory: Local
    payment: Local
    notification: Local
    audit: Local
    dead: int  # dead letters in the broker's queues
    asked: tuple[bool, ...]  # of each customer: whether they have ordered

    def orders(self) -> dict[str, Order]:
        """Every order by its id."""
        return self.order.tables.get(Order, {})

    def stock(self) -> dict[str, Stock]:
        """Every shelf by its sku."""
        return self.inventory.tables.get(Stock, {})

    def reserved(self, order_id: str) -> str:
        """The state of an order's reservation, or `none`."""
        row = self.inventory.tables.get(Reservation, {}).get(order_id)
        return row.state if row else "none"

    def kept(self, order_id: str) -> int:
        """Pence of this order that the provider captured and did not refund."""
        signs = {"captured": 1, "refunded": -1}
        mine = [booking for booking in self.payment.ledger if booking.order_id == order_id]
        return sum(signs.get(booking.outcome, 0) * booking.amount for booking in mine)

    def mails(self, order_id: str) -> list[str]:
        """What the customer was told of the outcome, in order: CONFIRMED, CANCELLED."""
        subjects = [b.kind for b in self.notification.ledger if b.order_id == order_id]
        ends = [subject.rsplit(" ", 1)[-1].upper() for subject in subjects]
        return [end for end in ends if end in ("CONFIRMED", "CANCELLED")]


def view_of(world: World, state: State) -> View:
    """The state as the invariants see it."""
    locals_ = [member.locals[number] for member, number in zip(world.members, state, strict=False)]
    asked = tuple(customer.stage != WANTS for customer in world.customers.values[state[CUSTOMERS]])
    return View(world.scenario, *locals_, len(world.queues.values[state[DEAD]]), asked)
