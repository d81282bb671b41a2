"""One real event of each type: the five services play four orders, in memory, on a fixed day."""

from collections import deque
from typing import Any

import msgspec

from ecom.contract.envelope import Headers, derived_id
from ecom.events import Line
from ecom.runtime.messages import (
    Announce,
    Command,
    Commit,
    Confirmed,
    Delivery,
    Perform,
    Publish,
    PublisherUp,
    Tick,
)
from ecom.runtime.runtime import Runtime
from ecom.runtime.tables import Outbox
from ecom.sagas.choreography import choreography
from ecom.sandbox.cards import DECLINED_CARD, GOOD_CARD
from ecom.services.inventory import Stock
from ecom.services.order import CancelOrder, PlaceOrder
from ecom.stores.memory import MemoryStore
from ecom_lab.shop import CONTRACT, EVENTS, SERVICES
from ecom_lab.simulator.shop.outside import Mailer, Provider

NOON = 1_793_880_000.0  # 5 November 2026, 12:00 UTC
HOLD = 900.0  # seconds
STOCK = {"TEAPOT": 8, "KITE": 3, "MOON": 0}  # units by sku
STEP = 0.004  # seconds that a step takes


def examples() -> dict[str, tuple[Headers, Any]]:
    """Headers and body (as JSON values) of one event of each type; always the same."""
    play = _Play()
    play.place("ada@example.com", Line("TEAPOT", 2, 1250))
    play.ask(CancelOrder("1001"))
    play.place("bert@example.com", Line("KITE", 1, 2200), DECLINED_CARD)
    play.place("carol@example.com", Line("MOON", 1, 9900))
    play.is_paying = False
    play.place("dora@example.com", Line("TEAPOT", 1, 1250))
    play.now += HOLD
    play.give("inventory", Tick())
    first = {row.type: row for row in reversed(play.said)}
    return {key: (first[key].headers, msgspec.json.decode(first[key].body)) for key in EVENTS}


class _Play:
    """The services, and what they say; no queue ever holds anything back."""

    def __init__(self) -> None:
        self.now = NOON
        self.said: list[Outbox] = []
        self.is_paying = True  # whether the payment service hears anything
        self._asked = 0
        self._waiting: deque[tuple[str, Any]] = deque()
        self._ledger: tuple = ()
        stores = {name: MemoryStore() for name in SERVICES}
        shelves = [Stock(sku, units, units) for sku, units in STOCK.items()]
        stores["inventory"].write(Stock, shelves, [])
        saga = choreography(HOLD)
        self._runtimes = {
            name: Runtime(saga, name, stores[name], "1", lambda: 0.5) for name in SERVICES
        }
        for name in SERVICES:
            self.give(name, PublisherUp())

    def place(self, customer: str, line: Line, card: str = GOOD_CARD) -> None:
        """A customer orders, and all that follows happens."""
        self.ask(PlaceOrder(customer, card, (line,)))

    def ask(self, command: Any) -> None:
        """A customer asks for something, and all that follows happens."""
        self._asked += 1
        self.give("order", Command(derived_id("ecom", f"example/{self._asked}"), command))

    def give(self, name: str, news: Any) -> None:
        """One input, and all that follows."""
        self._waiting.append((name, news))
        while self._waiting:
            name, news = self._waiting.popleft()
            self.now += STEP
            for output in self._runtimes[name].step([news], self.now):
                self._carry_out(name, output)

    def _carry_out(self, name: str, output: Any) -> None:
        if isinstance(output, Commit):
            output.transaction.commit()
        elif isinstance(output, Publish):
            self._publish(name, output.row)
        elif isinstance(output, Announce):  # an echo, for which the deadline waits
            echo = Delivery(1, 1, "events", output.key, {}, output.body)
            self._waiting += ((name, echo), (name, Tick()))
        elif isinstance(output, Perform):
            outside = Provider() if name == "payment" else Mailer()
            row = output.row
            self._ledger, answer = outside.perform(self._ledger, row.seq, row.key, output.effect)
            self._waiting.append((name, answer))

    def _publish(self, name: str, row: Outbox) -> None:
        self.said.append(row)
        self._waiting.append((name, Confirmed([row.seq])))
        for listener in SERVICES:
            hears = listener in CONTRACT.listeners(row.type)
            if hears and (self.is_paying or listener != "payment"):
                delivery = Delivery(1, 1, "events", row.type, row.headers, row.body)
                self._waiting.append((listener, delivery))
