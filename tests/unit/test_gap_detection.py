"""What a broker loses after it has confirmed it is noticed, asked for, and sent again."""

import pytest
from helpers import EXAMPLES, Hand, published

from ecom.runtime.messages import (
    Announce,
    Command,
    Confirmed,
    Delivery,
    Publish,
    PublisherDown,
    TallyDue,
)
from ecom.runtime.tables import Counter
from ecom.services.audit import Entry
from ecom.services.order import PlaceOrder
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
        (tally,) = announced(self.order.give(TallyDue()))
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
