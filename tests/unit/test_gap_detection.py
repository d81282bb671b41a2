"""What a broker loses after it has confirmed it is noticed, asked for, and sent again."""

import pytest
from helpers import EXAMPLES, Hand, published
from msgspec import json
from msgspec.structs import replace

from ecom.runtime.gap_detection import GIVE_UP, HELLO, IN_VAIN, PAGE
from ecom.runtime.messages import (
    Announce,
    Command,
    Confirmed,
    Delivery,
    Publish,
    PublisherDown,
    TallyDue,
)
from ecom.runtime.retention import RETENTION
from ecom.runtime.tables import Counter, Inbox
from ecom.services.audit import Entry
from ecom.services.order import PlaceOrder
from ecom.stores.base import Transaction
from ecom_lab.shop import SAGA

ORDER = EXAMPLES["order.created"]
WISH = PlaceOrder(ORDER.customer, ORDER.card, ORDER.lines)


class Pair:
    """An order service, audit that hears it, and a broker that we are."""

    def __init__(self):
        self.order, self.audit = Hand(SAGA.services["order"]), Hand(SAGA.services["audit"])
        self.commands = 0

    def place(self):
        """A customer orders; the event as it was published."""
        self.commands += 1
        published = events(self.order.give(Command(f"command-{self.commands}", WISH)))
        self.order.give(Confirmed([row.seq for row in published]))
        return published[0]

    def count(self):
        """Order says its tally, audit hears it; what audit says to that, order hears."""
        while not (tallies := announced(self.order.give(TallyDue()))):
            pass
        (tally,) = tallies
        answer = announced(self.audit.give(heard(tally)))
        for question in answer:
            self.order.give(heard(question))
        return answer

    def sent_again(self):
        """What order sends once its clock has ticked; confirmed, as it was before."""
        again = events(self.order.wait(0.1))
        self.order.give(Confirmed([row.seq for row in again]))
        return again


def announced(outputs):
    return [out for out in outputs if isinstance(out, Announce)]


def events(outputs):
    return [out.row for out in outputs if isinstance(out, Publish)]


def arrive(hand, rows):
    hand.give(
        *(Delivery(1, row.seq, "shop.events", row.type, row.headers, row.body) for row in rows)
    )


def heard(say):
    return Delivery(1, 1, "shop.events", say.key, None, say.body)


@pytest.fixture
def pair():
    return Pair()


def test_a_lost_event_is_asked_for_at_the_second_tally_and_sent_again(pair):
    """Once could be chance (a retry, a sibling's batch); what came is not sent once more."""
    came = [pair.place() for _ in range(3)]
    arrive(pair.audit, came)
    pair.order.now += 60
    pair.count()
    lost = pair.place()
    assert pair.count() == []
    assert [question.key for question in pair.count()] == ["audit.missing"]
    again = pair.sent_again()
    assert [row.id for row in again] == [lost.id]
    arrive(pair.audit, again)
    assert pair.count() == pair.count() == []
    assert len(pair.audit.rows(Entry)) == 4


def test_after_a_restart_all_that_the_outbox_holds_is_sent_again(pair):
    """Since when something is missing is forgotten: more than needed is sent, and absorbed."""
    arrive(pair.audit, [pair.place()])
    pair.count()
    pair.order.now += 60
    lost = pair.place()
    pair.audit.restart()
    pair.count()
    pair.count()
    again = pair.sent_again()
    assert [row.id for row in again][-1] == lost.id
    assert len(again) == 2
    arrive(pair.audit, again)
    assert len(pair.audit.rows(Entry)) == 2
    assert pair.audit.row(Counter, "duplicates").value == 1


def test_what_was_never_published_is_not_missed(pair):
    """Without a connection it waits in the outbox: the tally does not speak of it."""
    arrive(pair.audit, [pair.place()])
    pair.order.give(PublisherDown())
    pair.order.give(Command("command-9", WISH))
    assert pair.count() == pair.count() == []


def test_what_is_sent_again_does_not_hide_what_is_lacking(pair):
    """Rows on their way for the second time were published before: the tally counts them."""
    pair.place()
    pair.count()
    assert pair.count() != []
    assert len(events(pair.order.wait(0.1))) == 1  # and lost again, before a confirm came
    assert pair.count() != []


def test_after_asking_in_vain_for_the_latest_all_are_asked_for(pair):
    """A tally was taken for right that was not (of two siblings, say): older events are sent."""
    pair.order.now += 100
    lost = pair.place()
    pair.order.now += 100
    pair.audit.runtime._gaps._known.right["order.created"] = pair.order.now
    sent = []
    for _ in range(10):
        pair.count()
        sent += [row.id for row in pair.sent_again()]
    assert sent.count(lost.id) >= 1


def test_what_never_comes_is_sent_again_a_few_times_only(pair):
    """A message that kills its listener must not be brought back for ever."""
    pair.place()
    pair.count()
    sent = 0
    for _ in range(100):
        pair.count()
        sent += len(pair.sent_again())
    assert sent == 3


def test_a_listener_asks_nobody_for_events_it_does_not_hear(pair):
    """Payment hears of cancellations, not of orders: it misses none."""
    pair.place()
    pair.audit = Hand(SAGA.services["payment"])
    assert pair.count() == pair.count() == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        b'{"at": 1, "sent": {"x": "y"}}',
        b'{"missing": {"order.created": [1]}}',
    ],
)
@pytest.mark.parametrize("key", ["order.tally", "audit.missing"])
def test_garbage_under_these_keys_does_nothing(pair, key, body):
    """No dead letter, no answer, no exception; the order stays as sent."""
    pair.place()
    outputs = pair.order.give(Delivery(1, 1, "shop.events", key, None, body))
    assert announced(outputs) == published(outputs) == []
    assert pair.sent_again() == []


def refused(rows):
    """They come from somebody who may not publish them."""
    return [
        Delivery(1, row.seq, "shop.events", row.type, row.headers, row.body, "order-2")
        for row in rows
    ]


def letters(outputs):
    return [row for row in events(outputs) if row.exchange == "dead"]


def test_what_is_refused_was_received(pair):
    """It is a dead letter, once: to send it again would only make more of them."""
    dead = []
    for _ in range(10):
        some = [pair.place() for _ in range(5)]
        dead += letters(pair.audit.give(*refused(some)))
        assert pair.count() == []
    assert len(dead) == 50


def test_what_is_refused_again_makes_no_second_dead_letter(pair):
    """Byte for byte the same, in whatever batch; what differs is a letter of its own."""
    event = pair.place()
    assert len(letters(pair.audit.give(*refused([event, event])))) == 1
    assert letters(pair.audit.give(*refused([event]))) == []
    (other,) = refused([event])
    assert len(letters(pair.audit.give(replace(other, body=b"{}")))) == 1
    assert (
        len(letters(pair.audit.give(replace(other, headers={}), replace(other, headers={})))) == 2
    )
    arrive(pair.audit, [event])
    assert len(pair.audit.rows(Entry)) == 1


def test_what_waits_for_another_try_was_received(pair):
    """It came, and need not come again."""
    event = pair.place()
    row = Inbox(event.id, event.type, "1001", "waiting", 0.0, due=9.0, body=b"")
    tx = Transaction(pair.audit.store)
    tx[Inbox].put(row)
    tx.commit()
    assert pair.count() == pair.count() == []


def test_events_are_sent_again_by_range(pair):
    """Those that were published since the last tally that was right, and before the one that was
    not: neither the past nor what has happened since."""
    arrive(pair.audit, [pair.place() for _ in range(3)])
    pair.order.now += 100
    pair.count()
    pair.order.now += 100
    lost = pair.place()
    pair.order.now += 100
    pair.count()
    question = pair.audit.give(heard(*announced(pair.order.give(TallyDue()))))
    pair.order.now += 100
    arrive(pair.audit, [pair.place()])
    pair.order.give(heard(*announced(question)))
    assert [row.id for row in pair.sent_again()] == [lost.id]


def test_events_are_sent_again_a_page_at_a_time(pair):
    """No transaction holds more; the next page goes when the last one is confirmed; none twice."""
    lost = [row.id for _ in range(2 * PAGE + 10) for row in [pair.place()] if pair.order.wait(0.01)]
    pair.order.now += 100
    pair.count()
    pair.count()
    pages = []
    while again := pair.sent_again():
        pages.append([row.id for row in again])
    assert sorted(id for page in pages for id in page) == sorted(lost)
    assert max(map(len, pages)) <= PAGE


def test_events_that_were_confirmed_at_one_moment_are_of_one_page(pair):
    """However many: none is left out at the edge."""
    rows = [pair.place() for _ in range(PAGE + 10)]
    pair.count()
    pair.count()
    assert len(pair.sent_again()) == len(rows)


def test_a_page_waits_until_the_last_one_is_confirmed(pair):
    """A broker that takes nothing is not given more and more."""
    for _ in range(2 * PAGE):
        pair.place()
        pair.order.now += 0.01
    pair.count()
    pair.count()
    sent = [row.id for _ in range(5) for row in events(pair.order.wait(0.1))]
    assert len(sent) == len(set(sent)) <= PAGE


def test_a_loss_among_many_orders_costs_a_few_times_its_time(pair):
    """One event of twenty is lost in each tally, for ever: what is sent again does not grow with
    the history."""
    arrive(pair.audit, [pair.place() for _ in range(1_000)])
    pair.order.now += 100
    pair.count()
    again = []
    for _ in range(100):
        pair.order.now += 10
        arrive(pair.audit, [pair.place() for _ in range(20)][1:])
        pair.count()
        some = pair.sent_again()
        again.append(len(some))
        arrive(pair.audit, some)
    assert sum(again) <= 3 * 20 * 100


def test_many_questions_are_one(pair):
    """Whoever asks, with whatever numbers: a listener gets each type once, then more and more
    seldom, and what is known of that is bounded."""
    for _ in range(10):
        pair.place()
        pair.order.now += 1
    sent = 0
    for n in range(200):
        body = {"missing": {"order.created": [n, float(-n)], f"type-{n}": [1, 0.0]}}
        for who in ("payment", "inventory", "stranger", "order"):
            key = f"{who}.missing"
            pair.order.give(Delivery(1, 1, "shop.events", key, None, json.encode(body)))
        sent += len(pair.sent_again())
    assert sent == 10  # to inventory; payment does not hear of orders
    known = pair.order.runtime.volatile().gaps
    assert (len(known.answers), known.pages) == (1, {})


def test_a_tally_counts_for_events_of_its_sender_only(pair):
    """Else whoever may publish one could hide what others lack, or have it sent again."""
    pair.place()
    for who, number in (("payment", 0), ("payment", 9), ("stranger", 9), ("audit", 0)) * 3:
        body = json.encode({"at": 1e9, "sent": {"order.created": number}})
        tally = Delivery(1, 1, "shop.events", f"{who}.tally", None, body)
        assert announced(pair.audit.give(tally)) == []
    pair.count()
    assert [question.key for question in pair.count()] == ["audit.missing"]


def test_what_does_not_come_is_given_up_and_a_later_loss_is_noticed(pair, caplog):
    """Asked for until then, and said; not after a restart either."""
    pair.place()
    questions = [pair.count() for _ in range(GIVE_UP + 5)]
    assert len(list(filter(None, questions))) == GIVE_UP - 2
    assert "do not come" in caplog.text
    pair.audit.restart()
    assert pair.count() == pair.count() == []
    lost = pair.place()
    pair.count()
    assert pair.count() != []
    assert lost.id in [row.id for _ in range(20) if pair.count() for row in pair.sent_again()]


def test_a_new_listener_does_not_ask_for_ever_for_a_past_that_is_forgotten(pair):
    """At its second start it asks for nothing, and misses what is lost from then on."""
    for _ in range(3):
        pair.place()
    pair.order.now += 2 * RETENTION
    pair.order.wait(0.1)
    for _ in range(GIVE_UP):
        pair.count()
    pair.audit.restart()
    assert [pair.count() for _ in range(10)] == [[]] * 10
    pair.place()
    pair.count()
    assert pair.count() != []


def test_a_duplicate_that_the_inbox_has_forgotten_hides_no_loss(pair):
    """It was counted twice: after a few tallies that is known."""
    first = pair.place()
    arrive(pair.audit, [first])
    pair.audit.wait(2 * RETENTION)
    arrive(pair.audit, [first])
    for _ in range(IN_VAIN):
        pair.count()
    pair.place()
    pair.count()
    assert pair.count() != []


def test_a_tally_that_says_nothing_new_becomes_rare(pair):
    """So few pile up in the queue of a listener that is down, as long as nothing happens. What is
    new is said at once, and so is everything to one who asks."""
    pair.place()
    told = lambda times: sum(len(announced(pair.order.give(TallyDue()))) for _ in range(times))  # noqa: E731
    assert told(8_640) <= 50  # a day
    pair.place()
    assert told(2) == 2
    told(100)
    pair.order.give(Delivery(1, 1, "shop.events", "audit.missing", None, HELLO))
    assert told(2) == 2
