"""Identities: whose event a message is, whose order it belongs to, and whose money moves."""

import pytest
from helpers import EXAMPLES, Hand, answers, delivery, published, requested, wire
from msgspec.structs import replace

from ecom.contract.envelope import derived_id
from ecom.events import Line
from ecom.runtime.messages import Command, Delivery, Perform, Performed, Publish
from ecom.runtime.tables import Effect, Inbox, Outbox
from ecom.services.audit import Entry
from ecom.services.inventory import Reservation, Stock
from ecom.services.order import CancelOrder, Order, PlaceOrder
from ecom.services.payment import Captured, Payment
from ecom.stores.base import Transaction
from ecom.stores.memory import MemoryStore
from ecom_lab.shop import SAGA

COMMITTED, FAILED = EXAMPLES["inventory.committed"], EXAMPLES["payment.failed"]


# ── events ────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def orders():
    """The order service with two PENDING orders, 1001 and 1002."""
    hand = Hand(SAGA.services["order"])
    for _ in range(2):
        place(hand, "command-1")
    return hand


def place(hand, id, customer="lotte@example.com", units=2):
    command = PlaceOrder(customer, "4242", (Line("TEA-COSY", units, 1250),))
    out = hand.give(Command(id, command))
    return answers(out)[0], [each.row for each in out if isinstance(each, Publish)]


def test_no_service_silences_another_by_using_an_event_id_of_its_first(orders):
    """Ids can be derived by whoever has seen the cause: they are unique per source only."""
    orders.give(delivery(replace(FAILED, order_id="1002"), "committed-1001"))
    orders.give(delivery(COMMITTED, "committed-1001"))
    orders.give(delivery(COMMITTED, "committed-1001"))
    states = {row.order_id: row.state for row in orders.rows(Order)}
    assert states == {"1001": "CONFIRMED", "1002": "CANCELLED"}
    assert len(orders.rows(Inbox)) == 2


def test_the_log_keeps_events_of_two_services_under_one_id():
    """And each of them once."""
    audit = Hand(SAGA.services["audit"])
    for event in (FAILED, COMMITTED, COMMITTED, FAILED):
        audit.give(delivery(event, "same"))
    assert [row.type for row in audit.rows(Entry)] == ["inventory.committed", "payment.failed"]


def test_the_log_keeps_the_body_as_it_came():
    """With what a later release has added to it, and in the spelling of another language."""
    audit, (headers, body) = Hand(SAGA.services["audit"]), wire(COMMITTED)
    body = b" " + body[:-1] + ', "gift_note": "with \\u2665, Zoë"}'.encode()
    audit.give(Delivery(1, 1, "shop.events", COMMITTED.key, headers, body))
    assert [row.body for row in audit.rows(Entry)] == [body.decode()]


# ── orders ────────────────────────────────────────────────────────────────────────────────────
class Exchange:
    """Order, inventory and payment, whose messages we carry."""

    def __init__(self):
        self.hands = {name: Hand(SAGA.services[name]) for name in ("order", "inventory", "payment")}
        self.stock({"TEA-COSY": 10})

    def stock(self, units):
        tx = Transaction(self.hands["inventory"].store)
        for sku, n in units.items():
            tx[Stock].put(Stock(sku, n, n))
        tx.commit()

    def hear(self, name, row):
        """The events that a service answers one with, as rows; its effects, as outputs."""
        out = self.hands[name].give(
            Delivery(1, row.seq, "shop.events", row.type, row.headers, row.body)
        )
        rows = [each.row for each in out if isinstance(each, Publish)]
        return [row for row in rows if row.exchange == "events"], [
            each for each in out if isinstance(each, Perform)
        ]

    def restore_order(self):
        """The order service's database is lost; a backup of the time before any order is put in
        its place."""
        self.hands["order"].store = MemoryStore()
        self.hands["order"].restart()

    def refusals(self):
        """Why messages were set aside, by service."""
        return {
            name: [row.headers["dead-exception"] for row in hand.rows(Outbox, exchange="dead")]
            for name, hand in self.hands.items()
        }


@pytest.fixture
def restored():
    """Anna has ordered and paid when the order service's database is restored; her number, 1001,
    is given to Bert. What is on its way to Anna's order: inventory's answer."""
    shop = Exchange()
    _, (created,) = place(shop.hands["order"], "anna", "anna@example.com", 3)
    (held,), _ = shop.hear("inventory", created)
    _, (capture,) = shop.hear("payment", held)
    out = shop.hands["payment"].give(Performed(capture.row.seq, Captured("1001")))
    (committed,), _ = shop.hear("inventory", next(it.row for it in out if type(it) is Publish))
    shop.restore_order()
    order, (created,) = place(shop.hands["order"], "bert", "bert@example.com", 1)
    assert order.order_id == "1001"
    return shop, committed, created


def test_no_order_is_confirmed_by_what_belongs_to_another_of_its_number(restored):
    """A person is told of it, in a dead letter."""
    shop, committed, _ = restored
    assert shop.hear("order", committed) == ([], [])
    assert shop.hands["order"].row(Order, "1001").state == "PENDING"
    assert [("another has this number" in why) for why in shop.refusals()["order"]] == [True]


def test_no_cancellation_takes_the_stock_or_refunds_the_money_of_another_order(restored):
    """Nor does the newer order hold or pay anything on the older one's account."""
    shop, _, created = restored
    assert shop.hear("inventory", created) == ([], [])
    out = shop.hands["order"].give(Command("cancel", CancelOrder("1001")))
    (cancelled,) = [it.row for it in out if isinstance(it, Publish)]
    assert shop.hear("inventory", cancelled) == shop.hear("payment", cancelled) == ([], [])
    assert shop.hands["inventory"].row(Reservation, "1001").state == "COMMITTED"
    assert shop.hands["payment"].row(Payment, "1001").state == "CAPTURED"
    assert [len(refused) for refused in shop.refusals().values()] == [0, 2, 1]


def test_a_cancellation_belongs_to_the_order_that_it_cancels(orders):
    """Whatever the id of the command is; the next one is of the next order again."""
    for customer in ("1001", "1002"):
        orders.give(Command(f"cancel-{customer}", CancelOrder(customer)))
    sagas = {row.headers["ce-correlationid"] for row in orders.rows(Outbox, type="order.cancelled")}
    assert sagas == {"command-1"}


def test_a_cancellation_by_an_earlier_release_undoes_what_this_one_has_done(restored):
    """They may run side by side; that release tells of no saga in its cancellations."""
    shop, _, _ = restored
    told = replace(EXAMPLES["order.cancelled"], customer="anna@example.com")
    headers, body = wire(told, "of-an-earlier-release")
    headers["ce-correlationid"] = derived_id("tea", "cancel/1001")
    event = Delivery(1, 9, "shop.events", told.key, headers, body)
    assert published(shop.hands["inventory"].give(event)) == ["inventory.released"]
    assert len(requested(shop.hands["payment"].give(event))) == 1


# ── keys ──────────────────────────────────────────────────────────────────────────────────────
def test_keys_of_two_orders_of_one_number_are_never_the_same():
    """Two shops may share a merchant's account; a shop may begin anew, with the same provider."""
    keys = set()
    for saga in ("anna", "bert"):
        till, post = Hand(SAGA.services["payment"]), Hand(SAGA.services["notification"])
        for hand, key in ((till, "inventory.processed"), (post, "order.confirmed")):
            headers, body = wire(EXAMPLES[key])
            headers["ce-correlationid"] = saga
            hand.give(Delivery(1, 1, "shop.events", key, headers, body))
        till.give(Performed(1, Captured("1001")))
        headers, body = wire(EXAMPLES["order.cancelled"], "cancelled")
        headers["ce-correlationid"] = saga
        till.give(Delivery(1, 2, "shop.events", "order.cancelled", headers, body))
        keys |= {row.key for hand in (till, post) for row in hand.rows(Effect)}
    assert len(keys) == 6
    assert "capture/1001/anna" in keys


def test_a_refund_names_what_it_gives_back():
    """A provider that knows several captures of one number gives back the right one."""
    till = Hand(SAGA.services["payment"])
    till.give(delivery(EXAMPLES["inventory.processed"]))
    till.give(Performed(1, Captured("1001")))
    (refund,) = requested(till.give(delivery(EXAMPLES["order.cancelled"], "cancelled")))
    assert refund.capture == till.rows(Effect)[0].key
