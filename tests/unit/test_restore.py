"""Each database restored alone from an older copy, while orders are under way (docs/RESTORE.md)."""

from collections import Counter as Tally

import pytest
from world import World

from ecom.events import Line
from ecom.runtime.messages import (
    Announce,
    Command,
    Delivery,
    Perform,
    Performed,
    PublisherUp,
    Reply,
    TallyDue,
)
from ecom.runtime.tables import Received
from ecom.services.audit import Entry
from ecom.services.inventory import Reservation, Stock
from ecom.services.notification import Told
from ecom.services.order import CancelOrder, Order, PlaceOrder
from ecom.services.payment import Payment
from ecom.shop.restore import last_heard, put_back
from ecom_lab.shop import SERVICES

ENDS = {"CONFIRMED": ("COMMITTED", "CAPTURED"), "CANCELLED": ("RELEASED", "REFUNDED")}


class Restored(World):
    """A world in which a database may be restored, and services tell what they have sent."""

    def __init__(self):
        super().__init__({"TEA": 1_000})
        self.placed: dict[str, str] = {}  # order id: the customer who was told of it
        self.letters: list[str] = []  # why messages were set aside
        self.commands = 0
        self.is_slow = False  # the outside: it answers after all else has come
        self.late: list[tuple[str, Performed]] = []

    def place(self, orders):
        for _ in range(orders):
            self.commands += 1
            wish = PlaceOrder(f"{self.commands}@example.com", "4242", (Line("TEA", 1, 100),))
            self.command(f"place-{self.commands}", wish)

    def _carry_out(self, name, output):
        if isinstance(output, Reply) and output.token.startswith("place"):
            order = output.value
            assert self.placed.setdefault(order.order_id, order.customer) == order.customer
        if isinstance(output, Announce):
            for listener in SERVICES:
                self.tags += 1
                message = Delivery(1, self.tags, "shop.events", output.key, None, output.body)
                self.queues[listener].append(message)
        super()._carry_out(name, output)
        if self.is_slow and isinstance(output, Perform):
            self.late.append((name, self.inputs[name].pop()))

    def _route(self, row):
        if row.exchange == "dead":
            self.letters.append(row.headers["dead-exception"])
        else:
            super()._route(row)

    def step(self, name):
        if self.is_slow:  # what producers send again comes in any order: inventory's first
            self.queues[name].sort(key=lambda it: it.key.partition(".")[0])
        super().step(name)

    def restore(self, name, copy):
        """Its process ends; the copy takes the database's place; it is opened, and starts."""
        waiting = [each for each in self.inputs[name] if isinstance(each, Command)]
        self.stores[name].restore(copy)
        if name == "order":
            heard = [row for each in SERVICES for row in self.rows(each, (Received,))]
            put_back(self.rows("audit", (Entry,)), self.stores["order"], last_heard(heard))
        self.start(name)
        self.inputs[name] += waiting

    def settle(self):
        """Tallies, questions, answers and retries, for as long as gap detection may take."""
        for turn in range(24 if self.is_slow else 12):
            for name in SERVICES:
                self.inputs[name].append(TallyDue())
            self.tick(2.0)
            if turn == 12:
                self.is_slow = False
                for name, answer in self.late:
                    self.inputs[name].append(answer)

    def states(self, service, kind):
        return {row.order_id: row.state for row in self.rows(service, (kind,))}


def under_load(name, is_slow=False):
    """The world after one database was restored from a copy made under way, and all is quiet."""
    world = Restored()
    world.place(3)
    world.run()
    world.place(2)
    for each in ("order", "inventory", "payment"):
        world.step(each)
    copy = world.stores[name].snapshot()
    world.place(3)
    world.run()
    world.command("cancel", CancelOrder("1007" if is_slow else "1002"))
    world.run()
    world.place(2)
    for each in ("order", "inventory", "payment"):
        world.step(each)  # some of their events lie in queues
    world.step("audit")
    world.restore(name, copy)
    world.is_slow = is_slow
    world.place(3)
    world.run()
    world.settle()
    return world


@pytest.mark.parametrize("name", SERVICES)
def test_each_database_restored_alone_comes_to_the_books_it_would_have_had(name):
    """By itself: no order is lost, or of another customer; nobody is asked to do anything."""
    world = under_load(name)
    orders = world.rows("order", (Order,))
    assert len(world.placed) == 13
    assert {order.order_id: order.customer for order in orders} == world.placed
    assert Tally(order.state for order in orders) == {"CONFIRMED": 12, "CANCELLED": 1}
    stock, money = world.states("inventory", Reservation), world.states("payment", Payment)
    for order in orders:
        assert (stock[order.order_id], money[order.order_id]) == ENDS[order.state]
    assert {row.order_id for row in world.rows("notification", (Told,))} == world.placed.keys()
    assert world.rows("inventory", (Stock,)) == [Stock("TEA", 1_000, 988, 0, 12)]
    assert world.letters == []


@pytest.mark.parametrize("name", SERVICES)
def test_no_money_moves_twice_and_no_mail_is_sent_under_another_id(name):
    """What a restored service does again it does under the same keys."""
    world = under_load(name)
    kinds = Tally(tuple(key.split("/")[:2]) for key in world.ledger)
    assert set(kinds.values()) == {1}
    assert Tally(kind for kind, _ in kinds) == {"capture": 13, "refund": 1}
    assert len(world.mails) == 15


@pytest.mark.parametrize("is_slow", [False, True])
@pytest.mark.parametrize("name", SERVICES)
def test_the_log_has_every_event_once(name, is_slow):
    """Also if an order's cancellation comes before what the provider says to its capture, which
    it followed at first: its refund has another cause then, and is the same one."""
    log = [(row.order_id, row.type) for row in under_load(name, is_slow).rows("audit", (Entry,))]
    assert len(log) == len(set(log)) == 13 * 5 + 3


def test_no_number_is_given_again():
    """Some are left out: of orders that the log may not have heard of."""
    numbers = sorted(map(int, under_load("order").placed))
    assert numbers == [*range(1001, 1011), *range(2011, 2014)]


def test_without_a_log_no_order_changes_owner_and_a_person_is_told():
    """The order service's database alone is on this host: it gives numbers again. Who came later
    waits, and may cancel; who came first keeps what was paid for."""
    world = Restored()
    copy = world.stores["order"].snapshot()
    world.place(2)
    world.run()
    world.stores["order"].restore(copy)
    world.start("order")
    world.placed.clear()
    world.inputs["order"] = [PublisherUp()]
    world.place(1)
    world.run()
    world.command("cancel", CancelOrder("1001"))
    world.run()
    assert world.states("inventory", Reservation) == dict.fromkeys(["1001", "1002"], "COMMITTED")
    assert world.states("payment", Payment) == dict.fromkeys(["1001", "1002"], "CAPTURED")
    assert len(world.ledger) == 2
    assert world.letters
    assert all("another has this number here" in why for why in world.letters)
