"""Five services, a broker and the outside in one thread, small enough to crash anywhere."""

from collections.abc import Callable, Iterable
from typing import Any

from ecom.contract.topology import echo
from ecom.runtime.messages import (
    Ack,
    Announce,
    Command,
    Commit,
    Confirmed,
    Delivery,
    Perform,
    Performed,
    Publish,
    PublisherUp,
    Reply,
    Tick,
)
from ecom.runtime.runtime import Runtime
from ecom.services.inventory import Stock
from ecom.services.notification import MailSent
from ecom.services.payment import Captured, Declined, Refunded
from ecom.stores.base import StoreUnavailable, Transaction
from ecom.stores.memory import MemoryStore
from ecom_lab.shop import CONTRACT, SAGA, SERVICES

DECLINED_CARD = "declined"


class Flaky(MemoryStore):
    """A store that is unavailable whenever `fails` says so; asked each time it is used."""

    fails: Callable[[], bool] = staticmethod(lambda: False)

    def begin(self) -> None:
        if self.fails():
            raise StoreUnavailable("database is locked")
        super().begin()

    def fetch(self, kind: type, key: Any) -> Any:
        if self.fails():
            raise StoreUnavailable("disk I/O error")
        return super().fetch(kind, key)

    def commit(self) -> None:
        if self.fails():
            raise StoreUnavailable("disk is full")
        super().commit()


class World:
    """Runs until quiet. `crashes` and `fails` are asked before each output, and at each use of a
    store: True makes the process, or the store, fail just there."""

    def __init__(self, stock: dict[str, int]) -> None:
        self.crashes: Callable[[], bool] = lambda: False
        self.now = 0.0
        self.stores = {name: Flaky() for name in SERVICES}
        self.queues: dict[str, list[Delivery]] = {name: [] for name in SERVICES}
        self.unacked: dict[str, list[Delivery]] = {name: [] for name in SERVICES}
        self.inputs: dict[str, list[Any]] = {name: [] for name in SERVICES}
        self.runtimes: dict[str, Runtime] = {}
        self.ledger: dict[str, str] = {}  # idempotency key: outcome, first answer for ever
        self.mails: dict[str, str] = {}
        self.tags = 0
        transaction = Transaction(self.stores["inventory"])
        for sku, units in stock.items():
            transaction[Stock].put(Stock(sku, units, units))
        transaction.commit()
        for name in SERVICES:
            self.start(name)

    def fail_stores(self, fails: Callable[[], bool]) -> None:
        for store in self.stores.values():
            store.fails = fails

    def start(self, name: str) -> None:
        """Start a service, after a crash perhaps: the broker gives back what was not acked."""
        self.stores[name].rollback()
        self.runtimes[name] = Runtime(SAGA, name, self.stores[name], "1", lambda: 0.5)
        self.queues[name] = self.unacked[name] + self.queues[name]
        self.unacked[name] = []
        self.inputs[name] = [PublisherUp()]

    def command(self, id: str, message: Any) -> None:
        self.inputs["order"].append(Command(id, message, id))

    def run(self) -> None:
        """Until nothing moves; the customer repeats a command whose answer is lost."""
        while any(self.inputs.values()) or any(self.queues.values()):
            for name in SERVICES:
                self.step(name)

    def tick(self, seconds: float) -> None:
        """Time passes; the second tick is for deadlines that have asked the queue."""
        self.now += seconds
        for _ in range(2):
            for name in SERVICES:
                self.inputs[name].append(Tick())
            self.run()

    def step(self, name: str) -> None:
        taken, self.queues[name] = self.queues[name], []
        self.unacked[name] += taken
        batch = self.inputs[name] + taken
        self.inputs[name] = []
        while batch:
            try:
                self._outputs(name, batch)
                return
            except StoreUnavailable:
                continue  # as a real process: the same inputs again

    def _outputs(self, name: str, batch: list[Any]) -> None:
        asked = {each.token: each for each in batch if isinstance(each, Command)}
        for output in self.runtimes[name].step(batch, self.now):
            if self.crashes():
                self.start(name)
                self.inputs[name] += asked.values()
                return
            if isinstance(output, Reply):
                del asked[output.token]
            self._carry_out(name, output)

    def _carry_out(self, name: str, output: Any) -> None:
        if isinstance(output, Commit):
            output.transaction.commit()
        elif isinstance(output, Ack):
            self.unacked[name] = [each for each in self.unacked[name] if each.tag > output.tag]
        elif isinstance(output, Publish):
            self._route(output.row)
            self.inputs[name].append(Confirmed([output.row.seq]))
        elif isinstance(output, Perform):
            result = self._outside(output.row.key, output.effect)
            self.inputs[name].append(Performed(output.row.seq, result))
        elif isinstance(output, Announce) and output.key == echo(name):
            self.tags += 1
            delivery = Delivery(1, self.tags, "shop.events", output.key, {}, output.body)
            self.queues[name].append(delivery)

    def _route(self, row: Any) -> None:
        assert row.exchange == "events", "nothing here ends as a dead letter"
        for listener in (*CONTRACT.listeners(row.type), "audit"):
            self.tags += 1
            self.queues[listener].append(
                Delivery(1, self.tags, "shop.events", row.type, row.headers, row.body)
            )

    def _outside(self, key: str, effect: Any) -> Any:
        order_id, kind = effect.order_id, type(effect).__name__
        if kind == "SendMail":
            self.mails.setdefault(key, effect.subject)
            return MailSent(order_id)
        if kind == "Refund":
            assert self.ledger[effect.capture] == "captured", "nothing to give back"
            self.ledger.setdefault(key, "refunded")
            return Refunded(order_id)
        self.ledger.setdefault(key, "declined" if effect.card == DECLINED_CARD else "captured")
        good = self.ledger[key] == "captured"
        return Captured(order_id) if good else Declined(order_id, "card declined")

    def rows(self, service: str, kinds: Iterable[type]) -> list[Any]:
        """Every row of these tables, by key."""
        return [row for kind in kinds for row in self.stores[service].select(kind, {}, None)]
