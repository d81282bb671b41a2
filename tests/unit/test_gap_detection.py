"""What a broker loses after it has confirmed it is noticed, asked for, and sent again."""

import pytest
from helpers import EXAMPLES, Hand, published
from msgspec import json
from msgspec.structs import replace

from ecom.events import OrderCreated
from ecom.runtime import gap_detection
from ecom.runtime.gap_detection import GIVE_UP, HELLO
from ecom.runtime.messages import (
    Announce,
    Command,
    Confirmed,
    Delivery,
    Publish,
    PublisherDown,
    Rejected,
    TallyDue,
)
from ecom.runtime.retention import RETENTION
from ecom.runtime.tables import Inbox, Outbox, Received
from ecom.services.audit import Entry
from ecom.services.order import PlaceOrder
from ecom.stores.base import Counter, Transaction
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
        """Order says its tally, audit hears it; what audit says to that, order hears. It is every
        ten seconds."""
        self.order.now += 10
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


def test_after_a_restart_what_is_missing_is_known(pair):
    """Of a week's events only that is sent again."""
    came = [pair.place() for _ in range(5)]
    arrive(pair.audit, came[:2] + came[3:])
    pair.audit.restart()
    pair.count()
    pair.count()
    again = pair.sent_again()
    assert [row.id for row in again] == [came[2].id]
    arrive(pair.audit, again)
    assert len(pair.audit.rows(Entry)) == 5
    assert pair.audit.row(Counter, "duplicates") is None


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


def test_what_waits_to_be_published_hides_no_loss_before_it(pair):
    """Of what follows it, those that come first are not asked for either."""
    arrive(pair.audit, [pair.place()])
    lost = pair.place()
    (late,) = events(pair.order.give(Command("late", WISH)))
    pair.order.give(Rejected([late.seq]))
    arrive(pair.audit, [pair.place()])
    pair.count()
    pair.count()
    assert [row.id for row in pair.sent_again() if row.seq != late.seq] == [lost.id]


def test_what_never_comes_is_sent_again_a_few_times_only(pair):
    """A message that kills its listener must not be brought back for ever."""
    pair.place()
    pair.count()
    sent = 0
    for _ in range(100):
        pair.count()
        sent += len(pair.sent_again())
    assert sent == 4


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
        b'{"at": 1, "sent": {"order.created": 7}}',
        b'{"sent": {"order.created": [1, -1, 1]}}',
        b'{"sent": {"order.created": [1, 1, 1e400]}}',
        b'{"sent": {"order.created": [1000000000000000000, 9, 9]}}',
        b'{"missing": {"order.created": [1, 0.0]}}',
        b'{"missing": {"order.created": [[1]]}}',
        b'{"missing": {"order.created": [[9, 1], [0, 0], [5, 999999999999999999]]}}',
    ],
)
@pytest.mark.parametrize("key", ["order.tally", "audit.missing"])
def test_garbage_under_these_keys_does_nothing(pair, key, body):
    """No dead letter, no answer, no exception; the order stays as sent."""
    pair.place()
    outputs = pair.order.give(Delivery(1, 1, "shop.events", key, None, body))
    assert announced(outputs) == published(outputs) == []
    assert pair.sent_again() == []


def crack(message, work):
    raise ValueError("cracked")


def refused(rows, user="", body=b"{}"):
    """They cannot be read; or come from somebody who may not publish them."""
    return [
        Delivery(1, row.seq, "shop.events", row.type, row.headers, body or row.body, user)
        for row in rows
    ]


def letters(outputs):
    return [row for row in events(outputs) if row.exchange == "dead"]


def test_what_is_refused_has_come(pair):
    """It is a dead letter, once: to send it again would only make more of them."""
    dead = []
    for _ in range(10):
        some = [pair.place() for _ in range(5)]
        dead += letters(pair.audit.give(*refused(some)))
        assert pair.count() == []
    assert len(dead) == 50


def test_what_a_stranger_has_sent_under_a_number_has_not_come(pair):
    """Else whoever may publish something could hide what is lost. It is asked for, and however
    often it comes in this way, it is one dead letter."""
    event, dead = pair.place(), []
    pair.audit.give(*refused([event], "order-2", b""))
    pair.count()
    assert pair.count() != []
    assert [row.id for row in pair.sent_again()] == [event.id]
    for _ in range(2 * GIVE_UP):
        dead += letters(pair.audit.give(*refused([event], "order-2", b"")))
        pair.count()
        again = pair.sent_again()
        dead += letters(pair.audit.give(*refused(again, "order-2", b"")))
    assert dead == []  # but for the first
    lost = pair.place()
    pair.count()
    pair.count()
    arrive(pair.audit, pair.sent_again())
    assert lost.id in {entry.id for entry in pair.audit.rows(Entry)}


def test_what_is_refused_again_makes_no_second_dead_letter(pair):
    """Byte for byte the same, in whatever batch; what differs is a letter of its own."""
    event = pair.place()
    assert len(letters(pair.audit.give(*refused([event, event], "order-2", b"")))) == 1
    assert letters(pair.audit.give(*refused([event], "order-2", b""))) == []
    (other,) = refused([event], "order-2", b"")
    assert len(letters(pair.audit.give(replace(other, body=b"{}")))) == 1
    assert (
        len(letters(pair.audit.give(replace(other, headers={}), replace(other, headers={})))) == 2
    )
    arrive(pair.audit, [event])
    assert len(pair.audit.rows(Entry)) == 1


def test_what_waits_for_another_try_has_come(pair):
    """It need not come again."""
    pair.audit = Hand(SAGA.services["inventory"].answering({OrderCreated: crack}))
    arrive(pair.audit, [pair.place()])
    assert [row.state for row in pair.audit.rows(Inbox)] == ["waiting"]
    assert pair.count() == pair.count() == []


def test_events_are_sent_again_by_their_numbers(pair):
    """Neither the past nor what has happened since, nor those between."""
    rows = [pair.place() for _ in range(9)]
    arrive(pair.audit, [row for n, row in enumerate(rows) if n not in (2, 3, 7)])
    pair.count()
    pair.count()
    arrive(pair.audit, [pair.place()])
    assert [row.id for row in pair.sent_again()] == [rows[n].id for n in (2, 3, 7)]


def test_events_are_sent_again_a_page_at_a_time(pair, monkeypatch):
    """No transaction holds more, a broker that takes nothing is not given more and more; those that
    were missing first go first, none twice."""
    monkeypatch.setattr(gap_detection, "PAGE", 5)
    lost = [pair.place() for _ in range(13)]
    pair.count()
    pages = []
    for _ in range(4):
        pair.count()
        pages.append(pair.sent_again())
        arrive(pair.audit, pages[-1])
    assert [len(page) for page in pages] == [5, 5, 3, 0]
    assert [row.id for page in pages for row in page] == [row.id for row in lost]


def test_what_is_lost_again_and_again_is_sent_more_and_more_seldom(pair):
    """Also when it is asked for at each tally."""
    pair.place()
    pair.count()
    sent = [len(pair.sent_again()) for _ in range(GIVE_UP) if pair.count() is not None]
    assert [n for n, number in enumerate(sent) if number] == [0, 1, 3, 10]


def test_a_loss_among_many_orders_costs_what_was_lost(pair):
    """One event of twenty is lost in each tally, for ever: each is sent again, and no other."""
    arrive(pair.audit, [pair.place() for _ in range(1_000)])
    again = []
    for _ in range(100):
        arrive(pair.audit, [pair.place() for _ in range(20)][1:])
        pair.count()
        some = pair.sent_again()
        again += [row.id for row in some]
        arrive(pair.audit, some)
    pair.count()
    arrive(pair.audit, pair.sent_again())
    assert len(again) == len(set(again)) == 99
    assert len(pair.audit.rows(Entry)) == 3_000


def test_many_questions_are_one(pair):
    """Whoever asks, with whatever numbers: a listener gets a page of each type between two tallies,
    and what is known of that is bounded."""
    for _ in range(10):
        pair.place()
        pair.order.now += 1
    sent = 0
    for n in range(200):
        ranges = [[1, 10], [n % 11, 10**15], [n, n], [10, 1]]
        body = {"missing": {"order.created": ranges, f"type-{n}": [[1, 1]]}}
        for who in ("payment", "inventory", "stranger", "order"):
            key = f"{who}.missing"
            pair.order.give(Delivery(1, 1, "shop.events", key, None, json.encode(body)))
        sent += len(pair.sent_again())
    assert sent == 10  # to inventory; payment does not hear of orders
    assert pair.order.runtime.volatile().gaps.answered == {("inventory", "order.created")}


def test_a_tally_counts_for_events_of_its_sender_only(pair):
    """Else whoever may publish one could hide what others lack, or have it sent again."""
    pair.place()
    for who, number in (("payment", 0), ("payment", 9), ("stranger", 9), ("audit", 0)) * 3:
        body = json.encode({"sent": {"order.created": (number + 1, number, number)}})
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


def test_a_new_listener_begins_with_what_there_still_is(pair):
    """It asks for no past that its producer has forgotten, not at a later start either; for what
    there still is it does, and misses what is lost from then on."""
    for _ in range(3):
        pair.place()
    pair.order.now += 2 * RETENTION
    pair.order.wait(0.1)
    assert pair.order.rows(Outbox) == []
    kept = pair.place()
    pair.count()
    assert pair.count() != []
    assert [row.id for row in pair.sent_again()] == [kept.id]
    arrive(pair.audit, [kept])
    assert pair.count() == []
    assert pair.audit.rows(Received) == [Received("order.created", [(1, 4)])]
    pair.audit.restart()
    assert [pair.count() for _ in range(10)] == [[]] * 10
    pair.place()
    pair.count()
    assert pair.count() != []


def test_a_duplicate_that_the_inbox_has_forgotten_hides_no_loss(pair):
    """However late it comes, it changes nothing: one event is one number."""
    first = pair.place()
    arrive(pair.audit, [first])
    pair.audit.wait(2 * RETENTION)
    assert pair.audit.rows(Inbox) == []
    arrive(pair.audit, [first])
    lost = pair.place()
    assert pair.count() == []
    assert pair.count() != []
    assert [row.id for row in pair.sent_again()] == [lost.id]


def test_what_the_producer_has_no_longer_is_given_up_at_once(pair):
    """A listener was away for longer than its producer keeps events."""
    pair.place()
    pair.order.wait(2 * RETENTION)
    assert pair.count() == pair.count() == []
    assert pair.audit.rows(Received) == [Received("order.created", [(1, 1)])]


def test_numbers_that_are_given_again_are_missed_again(pair):
    """A producer's database was restored from an older copy, and nobody put its numbers back."""
    arrive(pair.audit, [pair.place() for _ in range(2)])
    copy = pair.order.store.snapshot()
    arrive(pair.audit, [pair.place() for _ in range(3)])
    pair.count()
    pair.order.store.restore(copy)
    pair.order.restart()
    pair.order.now += 1
    pair.count()
    pair.count()
    pair.commands += 10
    lost = pair.place()
    pair.count()
    assert pair.count() != []
    assert [row.id for row in pair.sent_again()] == [lost.id]


def test_tallies_that_come_again_forget_nothing(pair):
    """A connection was lost before they were acknowledged: they say of fewer events than have come
    since, and are no sign that a database was restored."""
    old = []
    for _ in range(3):
        arrive(pair.audit, [pair.place()])
        pair.order.now += 10
        old += announced(pair.order.give(TallyDue()))
    arrive(pair.audit, [pair.place() for _ in range(3)])
    pair.count()
    for tally in old:
        assert announced(pair.audit.give(heard(tally))) == []
    assert pair.audit.rows(Received) == [Received("order.created", [(1, 6)])]
    assert pair.count() == []


def test_a_siblings_tally_that_was_made_before_what_has_come_forgets_nothing(pair):
    """Replicas of a producer count at about the same time, each what was published by then; what
    was published since may come before all of their tallies."""
    arrive(pair.audit, [pair.place() for _ in range(2)])
    pair.order.now += 1
    (first,) = announced(pair.order.give(TallyDue()))
    arrive(pair.audit, [pair.place()])
    pair.order.now += 1
    second = announced(pair.order.give(TallyDue()))
    arrive(pair.audit, [pair.place() for _ in range(3)])
    pair.audit.now = pair.order.now + 1
    for tally in (first, *second):
        assert announced(pair.audit.give(heard(tally))) == []
    assert pair.audit.rows(Received) == [Received("order.created", [(1, 6)])]
    assert pair.count() == []


def test_events_of_an_earlier_release_are_handled_and_not_missed(pair):
    """They have no number. Those that are on their way come before the first tally; from then on
    each that is lost is missed."""
    old = [without_number(pair.place()) for _ in range(3)]
    tx = Transaction(pair.order.store)
    for row in old:
        tx[Outbox].put(replace(row, done_at=1.0))
    tx.commit()
    arrive(pair.audit, old)
    assert len(pair.audit.rows(Entry)) == 3
    assert pair.count() == pair.count() == []
    assert pair.audit.rows(Received) == [Received("order.created", [(1, 3)])]
    pair.place()
    pair.count()
    assert pair.count() != []


def test_what_an_earlier_release_has_not_sent_yet_is_waited_for(pair):
    """Of its type nothing is told before."""
    pair.order.give(PublisherDown())
    pair.order.give(Command("old", WISH))
    (row,) = pair.order.rows(Outbox)
    tx = Transaction(pair.order.store)
    tx[Outbox].put(without_number(row))
    tx.commit()
    assert announced(pair.order.give(TallyDue())) == []


def without_number(row):
    headers = {name: value for name, value in row.headers.items() if name != "ce-sequence"}
    return replace(row, headers=headers, number=0)


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
