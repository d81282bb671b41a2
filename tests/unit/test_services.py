"""Services: a message in; state, events and effects out. Order, notification and audit."""

from functools import partial

import pytest
from helpers import EXAMPLES, Hand, answers, published, requested

from ecom.events import Line
from ecom.runtime.messages import Command, Delivery, Failed, Performed, Tick
from ecom.runtime.retention import RETENTION
from ecom.runtime.tables import Outbox
from ecom.services.audit import Entry
from ecom.services.notification import MailSent, SendMail, Told
from ecom.services.order import (
    TIDY_EVERY,
    CancelOrder,
    KeyReused,
    NoSuchOrder,
    Order,
    PlaceOrder,
    Request,
)
from ecom.stores.memory import MemoryStore
from ecom_lab.shop import CONTRACT, EVENTS, SAGA

COMMITTED = EXAMPLES["inventory.committed"]


# ── order ─────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def orders():
    """The order service with one PENDING order, 1001."""
    hand = Hand(SAGA.services["order"])
    place(hand)
    return hand


def place(hand, key=None, digest="", id="command-1"):
    command = PlaceOrder("lotte@example.com", "4242", (Line("TEA-COSY", 2, 1250),) * 2, key, digest)
    out = hand.give(Command(id, command))
    return answers(out)[0], published(out)


def cancel(hand, order_id="1001"):
    out = hand.give(Command("cancel", CancelOrder(order_id)))
    return answers(out)[0], published(out)


def test_an_order_is_accepted_as_pending_with_its_total_in_pence():
    hand = Hand(SAGA.services["order"])
    order, events = place(hand)
    assert (order.order_id, order.state, order.total, events) == (
        "1001",
        "PENDING",
        5000,
        ["order.created"],
    )
    assert hand.row(Order, "1001") == order


def test_orders_are_numbered_one_after_the_other(orders):
    assert place(orders, id="second")[0].order_id == "1002"


def test_idempotency_keys_are_forgotten_after_a_week_and_a_hundred_orders(orders):
    """So many at most are left over, however many there were; younger ones stay."""
    for n in range(250):
        place(orders, f"old-{n}", "digest", f"a{n}")
    orders.now = RETENTION
    for n in range(200):
        place(orders, f"new-{n}", "digest", f"b{n}")
    orders.now += 1
    for n in range(100):
        place(orders, f"newest-{n}", "digest", f"c{n}")
    left = [row.key for row in orders.rows(Request)]
    assert len([key for key in left if key.startswith("old")]) < TIDY_EVERY
    assert len([key for key in left if key.startswith("new")]) == 300
    assert len(orders.rows(Order)) == 551


def test_one_idempotency_key_is_one_order(orders):
    first, _ = place(orders, "k", "digest", "a")
    assert place(orders, "k", "digest", "b") == (first, [])
    assert isinstance(place(orders, "k", "another", "c")[0], KeyReused)
    assert len(orders.rows(Order)) == 2


@pytest.mark.parametrize(
    ("key", "state", "reason", "event"),
    [
        ("inventory.committed", "CONFIRMED", None, "order.confirmed"),
        ("inventory.failed", "CANCELLED", "insufficient stock", "order.cancelled"),
        ("inventory.expired", "CANCELLED", "hold expired", "order.cancelled"),
        ("payment.failed", "CANCELLED", "card declined", "order.cancelled"),
    ],
)
def test_a_pending_order_ends_as_it_is_told(orders, key, state, reason, event):
    assert orders.handle(EXAMPLES[key]) == [event]
    order = orders.row(Order, "1001")
    assert (order.state, order.reason, order.ended_at) == (state, reason, orders.now)


@pytest.mark.parametrize(
    "key", ["inventory.committed", "inventory.failed", "inventory.expired", "payment.failed"]
)
def test_a_cancelled_order_stays_as_it_was_cancelled(orders, key):
    """Whatever comes later, and a second wish to cancel, change and say nothing."""
    cancelled, events = cancel(orders)
    assert (cancelled.state, cancelled.reason) == ("CANCELLED", "cancelled by customer")
    assert events == ["order.cancelled"]
    assert orders.handle(EXAMPLES[key]) == []
    assert cancel(orders) == (cancelled, [])


def test_a_confirmed_order_can_still_be_cancelled_but_not_confirmed_again(orders):
    orders.handle(COMMITTED)
    assert orders.handle(COMMITTED, "another") == []
    order, events = cancel(orders)
    assert (order.state, events) == ("CANCELLED", ["order.cancelled"])


def test_only_committed_stock_confirms_an_order(orders):
    """Not payment: the order service does not even listen to it."""
    assert not {"payment.processed", "inventory.processed"} & {
        kind.key for kind in orders.service.handlers if hasattr(kind, "key")
    }


def test_an_order_nobody_placed_cannot_be_cancelled(orders):
    answer, events = cancel(orders, "1002")
    assert isinstance(answer, NoSuchOrder)
    assert events == []


# ── notification ──────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def post():
    return Hand(SAGA.services["notification"])


def subjects(hand, *keys):
    """The subjects of all mails, each handed over, as these events come one after the other."""
    mails = [mail for n, key in enumerate(keys) for mail in hand.makes(EXAMPLES[key], str(n))]
    for seq in range(1, 10):
        mails += requested(hand.give(Performed(seq, MailSent("1001"))))
    assert {mail.to for mail in mails} <= {"lotte@example.com"}
    return [mail.subject for mail in mails]


@pytest.mark.parametrize(
    ("keys", "mails"),
    [
        (["order.confirmed"], ["Order #1001 Confirmed"]),
        (["inventory.failed"], ["Out of Stock - Order #1001 Cancelled"]),
        (["inventory.expired"], ["Order #1001 Cancelled"]),
        (["payment.failed"], ["Order #1001 Cancelled"]),
        (["order.cancelled"], ["Order #1001 Cancelled"]),
        (["payment.refunded"], ["Refund for Order #1001"]),
        (["inventory.failed", "order.cancelled"], ["Out of Stock - Order #1001 Cancelled"]),
        (["order.cancelled", "order.confirmed"], ["Order #1001 Cancelled"]),
        (["order.confirmed"] * 2, ["Order #1001 Confirmed"]),
        (["payment.refunded"] * 2, ["Refund for Order #1001"]),
        (
            ["order.confirmed", "order.cancelled", "payment.refunded"],
            ["Order #1001 Confirmed", "Order #1001 Cancelled", "Refund for Order #1001"],
        ),
    ],
)
def test_a_customer_is_told_each_outcome_once_and_no_stale_one(post, keys, mails):
    assert subjects(post, *keys) == mails


def test_a_mail_that_is_given_up_does_not_hold_back_the_orders_later_ones(post):
    """It is a dead letter; the next mail is sent, and so are those of events that are yet to come.
    When it is replayed, the others stay one after another."""
    post.makes(EXAMPLES["order.confirmed"], "1")
    assert post.makes(EXAMPLES["order.cancelled"], "2") == []
    out = post.give(Failed(1, "550 no", final=True))
    assert [mail.subject for mail in requested(out)] == ["Order #1001 Cancelled"]
    assert len(post.rows(Outbox, exchange="dead")) == 1
    assert post.makes(EXAMPLES["payment.refunded"], "3") == []
    letter = post.rows(Outbox, exchange="dead")[0]
    replayed = Delivery(1, 4, "", "notification", letter.headers, letter.body)
    post.give(replayed, Tick())
    assert requested(post.give(Performed(1, MailSent("1001", "confirmed/1001/command-1")))) == []
    out = post.give(Performed(2, MailSent("1001", "cancelled/1001/command-1")))
    assert [mail.subject for mail in requested(out)] == ["Refund for Order #1001"]
    post.give(Performed(3, MailSent("1001", "refunded/1001/command-1")))
    assert post.row(Told, "1001").mails == ()


def test_mail_is_tried_for_hours(post):
    """Not minutes, as a mail server may be away for long; and not for ever."""
    policy = post.service.retry_for(SendMail)
    hours = sum(policy.delay(n, 0.5) for n in range(1, policy.attempts)) / 3600
    assert 4 < hours < 24


# ── audit ─────────────────────────────────────────────────────────────────────────────────────
def test_audit_keeps_every_event_once_in_the_order_it_came():
    hand = Hand(SAGA.services["audit"])
    for key in [*EVENTS, *EVENTS]:
        assert hand.handle(EXAMPLES[key], key) == []
    kept = sorted(hand.rows(Entry), key=lambda entry: entry.n)
    assert [entry.type for entry in kept] == list(EVENTS)
    assert [entry.n for entry in kept] == list(range(1, 12))
    assert {entry.producer for entry in kept} == {"order", "inventory", "payment"}


def test_every_service_handles_all_it_hears():
    """And the audit service all there is: no event ends as a dead letter for want of a handler."""
    for kind in EVENTS.values():
        for listener in (*CONTRACT.listeners(kind.key), "audit"):
            assert kind in SAGA.services[listener].handlers


class Counting(MemoryStore):
    """Knows what was asked for row by row."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def fetch(self, kind, key):
        self.asked.append(kind)
        return super().fetch(kind, key)


def test_the_keys_of_many_orders_are_looked_up_at_once():
    """Not one query an order: over a network, a thousand in one request would take seconds."""
    hand, order = Hand(SAGA.services["order"], store=Counting()), EXAMPLES["order.created"]
    wish = partial(PlaceOrder, order.customer, order.card, order.lines)
    hand.give(*(Command(f"command-{n}", wish(key=f"key-{n}")) for n in range(3)))
    assert len(hand.rows(Request)) == 3
    assert Request not in hand.store.asked
