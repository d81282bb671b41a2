"""A service made for tests: it rings a bell for each order, and fails when told to."""

from helpers import EXAMPLES, Hand, delivery
from msgspec import Struct
from msgspec.structs import replace

from ecom.events import InventoryCommitted, OrderCreated
from ecom.runtime.retry import Retry
from ecom.runtime.service import Service
from ecom.runtime.tables import Outbox
from ecom.stores.base import Row

CREATED = EXAMPLES["order.created"]
POLICY = Retry(base=1.0, factor=3.0, cap=5.0, attempts=4)


class Bell(Row, frozen=True):
    table = "bells"

    order_id: str
    rung: int = 0


class Ring(Struct, frozen=True):
    order_id: str


class Rung(Struct, frozen=True):
    order_id: str


class Alarm(Struct, frozen=True):
    order_id: str


class Silent(Struct, frozen=True):
    order_id: str


class Tower:
    """A service that rings a bell for each order, and fails when told to."""

    def __init__(self):
        self.silent = 0  # how often it has handled that a bell will not ring any more
        self.trouble = {}  # order id: the exceptions to raise, one a call
        self.calls = 0
        self.hand = Hand(
            Service(
                "inventory",
                (Bell,),
                dict.fromkeys((OrderCreated, Ring, Rung, Alarm), self.ring) | {Silent: self.fall},
                effects=(Ring,),
                retries={OrderCreated: POLICY, Ring: POLICY},
                given_up={Ring: lambda subject, _: Silent(subject)},
            )
        )

    def ring(self, message, work):
        self.calls += 1
        bell = work[Bell].get(message.order_id) or Bell(message.order_id)
        work[Bell].put(replace(bell, rung=bell.rung + 1))
        if not isinstance(message, Rung):
            work.emit(InventoryCommitted(message.order_id, "quasimodo@example.com"))
            work.request(Ring(message.order_id), f"ring/{message.order_id}")
        if isinstance(message, OrderCreated):
            work.set_timer(work.now + 3600, Alarm(message.order_id))
        if errors := self.trouble.get(message.order_id):
            raise errors.pop(0)
        return bell.rung + 1

    def fall(self, message, work):
        if errors := self.trouble.get(message.order_id):
            raise errors.pop(0)
        self.silent += 1


def order(number, tag=1):
    return delivery(replace(CREATED, order_id=str(number)), f"created-{number}", tag)


def dead_letters(hand):
    return hand.rows(Outbox, exchange="dead")
