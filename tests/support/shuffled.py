"""A shop on real databases whose messages, clock and outside are shuffled by a seed."""

import random
import sqlite3
from pathlib import Path
from typing import Any

from world import DECLINED_CARD, World

from ecom.events import Line
from ecom.process.databases import Files
from ecom.runtime.messages import Failed, Performed, Tick
from ecom.runtime.runtime import Runtime
from ecom.sagas.choreography import choreography
from ecom.services.order import CancelOrder, PlaceOrder
from ecom.shop.provision import provision, stock_shelves
from ecom.stores.sqlite import SqliteStore
from ecom_lab.shop import SAGA, SERVICES

START = 1_790_000_000.0


class Shuffled(World):
    """Any service may go next, with part of what waits for it; some things happen twice.

    `trouble` is the probability that a call fails, that a message comes twice, that time leaps
    ahead, and tenfold that of a crash at each output; with 0, messages still race each other.
    """

    def __init__(self, folder: Path, seed: int, trouble: float = 0.0, hold: float = 60.0) -> None:
        provision(SAGA, folder)
        self.folder, self.dice, self.trouble, self.hold = folder, random.Random(seed), trouble, hold
        self.deaf, self.held = False, set()
        super().__init__({})
        self.stores = {name: SqliteStore(Files(folder).path(name)) for name in SERVICES}
        for store in self.stores.values():
            store._db.execute("PRAGMA synchronous = OFF")  # no power fails here
        stock_shelves(Files(folder), {"TEA": 5, "CAKE": 9})
        self.now = START
        self.crashes = lambda: self.dice.random() < self.trouble / 10
        for name in SERVICES:
            self.start(name)

    def start(self, name: str) -> None:
        super().start(name)
        if hasattr(self, "hold"):
            saga = choreography(self.hold)
            self.runtimes[name] = Runtime(saga, name, self.stores[name], "1", self.dice.random)

    def shop(self, orders: int, regrets: float = 0.3) -> None:
        """Customers come, some go back on it, and everything is carried through to the end."""
        for n in range(orders):
            self.place(n)
            for _ in range(self.dice.randrange(12)):
                self.turn()
            if self.dice.random() < regrets:
                self.command(f"cancel-{n}", CancelOrder(str(1001 + self.dice.randrange(n + 1))))
        self.finish()

    def place(self, n: int, card: str | None = None) -> None:
        """One order of a few things."""
        card = card or self.dice.choice(["4242", "4242", "4242", DECLINED_CARD])
        lines = (Line("TEA", 1, 100), Line("CAKE", 1, 300))[: self.dice.randint(1, 2)]
        self.command(f"place-{n}", PlaceOrder(f"c{n}@example.com", card, lines, f"key-{n}"))

    def turn(self) -> None:
        """One service does something."""
        self.now += self.dice.choice([0.0, 0.001, 0.25])
        if self.dice.random() < self.trouble:
            self.now += 5.0
        self.only(self.dice.choice(SERVICES))

    def only(self, name: str) -> None:
        """This service takes some of what waits for it; the rest waits on."""
        queue, inputs = self.queues[name], self.inputs[name]
        heard, took = self.dice.randint(0, len(queue)), self.dice.randint(0, len(inputs))
        later, self.queues[name] = queue[heard:], queue[:heard]
        unread, self.inputs[name] = inputs[took:], [*inputs[:took], Tick()]
        self.dice.shuffle(self.inputs[name])
        self.step(name)
        self.queues[name] += later
        self.inputs[name] += unread

    def finish(self) -> None:
        """Until nothing is left to do, all deadlines included."""
        self.trouble = 0.0
        for _ in range(20):
            self.run()
            self.tick(40.0)

    def run(self) -> None:
        while any(self.inputs.values()) or any(self.queues.values()):
            for name in SERVICES:
                self.now += 0.001
                self.step(name)

    def _carry_out(self, name: str, output: Any) -> None:
        before = len(self.inputs[name])
        super()._carry_out(name, output)
        for i, given in enumerate(self.inputs[name][before:], before):
            unlucky = self.dice.random() < self.trouble or (self.deaf and name == "payment")
            if isinstance(given, Performed) and unlucky:
                self.inputs[name][i] = Failed(given.seq, "GatewayError: no answer")

    def deafen(self) -> None:
        """The payment provider does not answer any more."""
        self.deaf = True

    def hold_back(self, key: str) -> None:
        """The broker keeps events of this type from all but the log."""
        self.held.add(key)

    def _route(self, row: Any) -> None:
        if row.exchange != "events":
            return  # a dead letter, which its history tells from the outbox
        super()._route(row)
        if self.dice.random() < self.trouble:
            super()._route(row)  # the broker has it twice
        for name in SERVICES[:-1]:
            self.queues[name] = [each for each in self.queues[name] if each.key not in self.held]


def meddle(world, service, statement, *values):
    """Change a row of a service's database."""
    with sqlite3.connect(world.folder / f"{service}.db") as db:
        assert db.execute(statement, values).rowcount
    db.close()


def what(account, kind):
    """The steps of one kind, in words without their blanks."""
    return [" ".join(str(step).split()) for step in account.steps if step.kind == kind]
