"""Dead letters that are replayed, in the runtime: a second chance, but no second effect."""

import re

import pytest
from helpers import delivery, published, wire
from msgspec.structs import replace
from tower import CREATED, POLICY, Bell, Tower, dead_letters, order

from ecom.errors import ShopError
from ecom.harness.dead_letters.dead_letter import read_letter
from ecom.runtime.dead_letters import DROPPED_HEADER
from ecom.runtime.messages import Delivery, Failed, Perform
from ecom.runtime.retention import RETENTION
from ecom.runtime.service import Impossible
from ecom.runtime.tables import Counter, Effect, Inbox, Letter, Received


@pytest.fixture
def tower():
    return Tower()


@pytest.fixture
def hand(tower):
    return tower.hand


def replayed(letter, body=None, override=""):
    """What an operator makes of a dead letter: through the default exchange, into our queue."""
    letter = read_letter("inventory", letter.headers, letter.body).edited(body)
    return Delivery(1, 1, "", "shop.inventory", letter.to_replay(override), letter.body)


STRANGER = "shop.notification"


def test_a_letter_keeps_of_a_message_what_describes_its_event_and_how_it_came(hand):
    """Nothing by which it would be routed elsewhere, however written; no mark that it brings."""
    said = {"CC": ["order.created"], "BCC": "audit", "cc": "x", "x-match": "any", "dead-reason": "",
            "ecom-effect": "1", "dead-user": "shop.order", "dead-override": "please",
            "ce-shop": "moon", b"CC": "y"}  # fmt: skip
    good = order(1)
    hand.give(replace(good, headers=good.headers | said, body=b"{", user=STRANGER))
    (letter,) = dead_letters(hand)
    story = {name for name in letter.headers if name.startswith("dead-")}
    assert letter.headers.keys() - story == good.headers.keys() | {"ce-shop"}
    assert "dead-override" not in story
    came = [letter.headers[f"dead-{name}"] for name in ("exchange", "key", "user")]
    assert came == ["shop.events", "order.created", STRANGER]


def test_a_replay_is_refused_as_its_original_was_however_often(hand):
    """It comes back with its publisher; also under another routing key than its type."""
    for way in ({"user": STRANGER}, {"key": "notification.x"}):
        hand.give(replace(order(1), **way))
        for _ in range(3):
            hand.give(replayed(dead_letters(hand)[-1]))
        assert hand.row(Bell, "1") is None
    assert [letter.headers["dead-user"] for letter in dead_letters(hand)] == [STRANGER] * 4 + [
        ""
    ] * 4
    assert {letter.headers["dead-reason"] for letter in dead_letters(hand)} == {"malformed"}


def test_an_operator_may_vouch_for_a_letter_and_that_is_in_the_log(tower, hand, caplog):
    """Once: what fails afterwards, also after retries, is a stranger's as before."""
    hand.give(replace(order(1), user=STRANGER))
    tower.trouble["1"] = [ValueError("cracked")] * POLICY.attempts
    hand.give(replayed(dead_letters(hand)[0], override="ada has asked"))
    for _ in range(POLICY.attempts):
        hand.wait(5)
    assert "ada has asked" in caplog.text
    assert (tower.calls, dead_letters(hand)[1].headers["dead-user"]) == (POLICY.attempts, STRANGER)
    hand.give(replayed(dead_letters(hand)[1]))
    assert hand.row(Bell, "1") is None


def test_a_replayed_effect_is_performed_as_it_is_stored(hand):
    """Whatever body its letter has; only an edit replaces it. And it is the same effect."""
    hand.give(order(1), order(2))
    hand.give(*(Failed(n, "Impossible: no such bell", final=True) for n in (1, 2)))
    letters, stored = dead_letters(hand), hand.row(Effect, 1).body
    hand.give(replace(replayed(letters[0]), body=b'{"order_id": "9"}'))
    assert (hand.row(Effect, 1).body, hand.row(Effect, 1).state) == (stored, "pending")
    other = letters[1].headers | {"ecom-effect": "1"}
    hand.give(replayed(replace(letters[1], headers=other)))
    assert hand.row(Effect, 2).state == "dead"
    hand.give(replayed(letters[1], b'{"order_id": "7"}'))
    assert (hand.row(Effect, 2).body, hand.row(Effect, 2).state) == (
        b'{"order_id": "7"}',
        "pending",
    )


def came(hand):
    """The numbers of the events that have come."""
    row = hand.row(Received, "order.created")
    return row.came if row else []


@pytest.fixture
def letter(tower, hand):
    """The dead letter of an order that could not be."""
    tower.trouble["1"] = [Impossible("no clapper")]
    hand.give(order(1))
    return dead_letters(hand)[0]


def test_a_replay_is_handled_once_however_often_it_comes(hand, letter):
    """Three replays in one batch, and a fourth later: one ring, the event said once."""
    out = hand.give(*[replayed(letter)] * 3)
    assert published(out) == ["inventory.committed"]
    assert published(hand.give(replayed(letter))) == []
    assert hand.row(Bell, "1").rung == 1
    assert hand.row(Inbox, "created-1").state == "done"
    assert hand.row(Counter, "replayed").value == 4


def test_a_duplicate_of_what_is_dead_is_no_replay(hand, letter):
    """Only an operator gives a second chance; the broker's redelivery does not."""
    hand.give(order(1))
    assert hand.row(Bell, "1") is None
    assert len(dead_letters(hand)) == 1


def test_a_replayed_event_has_come_once(tower, hand, letter):
    """Else it could stand for one that is lost: not while it waits, not afterwards, nor once the
    inbox has forgotten it."""
    assert came(hand) == [(1, 1)]
    tower.trouble["1"] = [ValueError("cracked")]
    hand.give(replayed(letter))
    assert (came(hand), hand.row(Inbox, "created-1").state) == ([(1, 1)], "waiting")
    hand.give(replayed(letter))
    hand.wait(5)
    assert (came(hand), hand.row(Inbox, "created-1").state) == ([(1, 1)], "done")
    hand.wait(2 * RETENTION)
    hand.give(replayed(letter))
    assert came(hand) == [(1, 1)]


def test_what_the_broker_has_set_aside_has_come_when_it_is_replayed(hand):
    """It killed whoever it was delivered to, so it was never noted."""
    event = order(1)
    story = {"dead-exchange": event.exchange, "dead-key": event.key, "dead-user": event.user}
    hand.give(replace(event, exchange="", key="shop.inventory", headers=event.headers | story))
    assert came(hand) == [(1, 1)]


def test_a_replay_that_fails_has_all_its_attempts_again_and_one_more_letter(tower, hand, letter):
    tower.calls, tower.trouble["1"] = 0, [ValueError("cracked")] * 20
    hand.give(replayed(letter))
    for _ in range(20):
        hand.wait(5)
    assert tower.calls == POLICY.attempts
    assert len(dead_letters(hand)) == 2
    assert came(hand) == [(1, 1)]


def test_a_replay_works_after_the_inbox_forgot(tower, hand, letter):
    """What is done is forgotten in time; what is dead is kept until it is replayed."""
    hand.give(order(2))
    hand.wait(RETENTION + 1)
    assert hand.row(Inbox, "created-2") is None
    hand.give(replayed(letter), replayed(letter))
    assert hand.row(Bell, "1").rung == 1


def test_a_mended_letter_is_handled_as_the_event_it_was(hand):
    """A malformed event is replayed with a body that can be read."""
    good = delivery(CREATED, "created-1")
    hand.give(replace(good, body=good.body[:-3]))
    letter = read_letter("inventory", *_parts(dead_letters(hand)[0]))
    assert letter.reason == "malformed"
    mended = letter.edited(good.body)
    hand.give(Delivery(1, 1, "", "shop.inventory", mended.to_replay(), mended.body))
    assert hand.row(Bell, CREATED.order_id).rung == 1


def test_an_effect_that_was_given_up_is_performed_anew_once(hand):
    """A replay revives it under its old key, with its attempts; a second replay does nothing."""
    hand.give(order(1))
    hand.give(Failed(1, "Impossible: no such bell", final=True))
    (letter,) = dead_letters(hand)
    hand.give(replayed(letter), replayed(letter))
    performed = [out.row.key for out in hand.wait(0) if isinstance(out, Perform)]
    assert performed == ["ring/1"]
    hand.give(replayed(letter))
    assert [out for out in hand.wait(0) if isinstance(out, Perform)] == []
    assert (hand.row(Effect, 1).state, hand.row(Effect, 1).attempts) == ("pending", 0)


def test_an_effects_letter_that_was_spoilt_says_so_and_can_be_replayed_once_mended(hand):
    """Edited into something that is no such effect, it comes back; it remains an effect's."""
    hand.give(order(1))
    hand.give(Failed(1, "Impossible: no such bell", final=True))
    good = dead_letters(hand)[0]
    hand.give(replayed(good, b"{}"))
    spoilt = read_letter("inventory", *_parts(dead_letters(hand)[1]))
    assert spoilt.exception.startswith("no Ring in this shape")
    mended = spoilt.edited(good.body)
    hand.give(Delivery(1, 1, "", "shop.inventory", mended.to_replay(), mended.body))
    assert hand.row(Effect, 1).state == "pending"


def dropped(letter, why="a test"):
    """What the service is told when an operator drops one."""
    mark = read_letter("inventory", *_parts(letter)).mark
    return Delivery(1, 1, "", "shop.inventory", mark | {DROPPED_HEADER: why}, b"")


def states(hand):
    return [(row.reason, row.state, row.ended_at, row.why) for row in hand.rows(Letter)]


def test_each_dead_letter_has_a_state_whatever_it_was(tower, hand):
    """An event, an effect and what nobody can read: lying there, then dropped, with when and why;
    or replayed, and lying there again as another letter if that fails."""
    hand.give(order(1))
    hand.give(Failed(1, "Impossible: no such bell", final=True))
    tower.trouble["2"] = [Impossible("no clapper"), Impossible("no rope")]
    hand.give(order(2))
    hand.give(replace(order(3), body=b"["))
    reasons = ["effect failed", "failed", "malformed"]
    assert states(hand) == [(reason, "dead", None, None) for reason in reasons]
    letters = dead_letters(hand)
    hand.now = 60.0
    hand.give(dropped(letters[0]), dropped(letters[2], "nonsense"), replayed(letters[1]))
    hand.now = 90.0
    hand.give(dropped(letters[0], "again"))
    assert states(hand) == [
        ("effect failed", "dropped", 60.0, "a test"),
        ("failed", "replayed", 60.0, None),
        ("malformed", "dropped", 60.0, "nonsense"),
        ("failed", "dead", None, None),
    ]
    assert hand.row(Effect, 1).state == "dead"
    assert hand.row(Counter, "dropped").value == 3


@pytest.mark.parametrize("number", ["x", "", "7", "9" * 5_000, "²", None, 2.5, ["1"]])
def test_a_letter_that_there_is_not_is_dropped_in_peace(hand, letter, number, tmp_path):
    """Whatever its mark is, no other letter is taken for it, and nothing fails."""
    told = {DROPPED_HEADER: "a test", "dead-letter": number}
    hand.give(Delivery(1, 1, "", "shop.inventory", told, b""))
    assert [row.state for row in hand.rows(Letter)] == ["dead"]
    assert len(dead_letters(hand)) == 1


def test_nothing_that_a_letter_says_hides_another(hand):
    """Copied word for word by another service, it has another id, and what an operator does with
    the copy is told of no letter of ours."""
    hand.give(replace(order(1), body=b"["))
    ours, copy = (
        read_letter("inventory", *_parts(dead_letters(hand)[0]), by=f"shop.{who}")
        for who in ("inventory", "notification")
    )
    assert ours.id != copy.id
    for told in (copy.as_forged().mark | {DROPPED_HEADER: "hush"}, copy.as_forged().to_replay("x")):
        hand.give(Delivery(1, 1, "", "shop.inventory", told, b"["))
    assert hand.row(Letter, 1).state == "dead"
    hand.give(Delivery(1, 1, "", "shop.inventory", ours.mark | {DROPPED_HEADER: "seen"}, b""))
    assert hand.row(Letter, 1).state == "dropped"


@pytest.mark.parametrize("how", [dropped, replayed])
def test_a_number_that_was_given_twice_ends_the_letter_of_its_own_event_only(hand, how):
    """Restored, a database counts its letters anew: one from before then has another's number."""
    hand.give(replace(order(1), body=b"["))
    (letter,) = dead_letters(hand)
    before = replace(letter, headers=letter.headers | {"ce-id": "of-before"})
    hand.give(how(before))
    assert hand.row(Letter, 1).state == "dead"
    hand.give(how(letter))
    assert hand.row(Letter, 1).state == how.__name__


def test_no_event_can_say_that_it_is_a_letter_or_dropped(hand):
    """What a message says of dead letters is forgotten when it becomes one."""
    mark = {DROPPED_HEADER: "hush", "dead-letter": "1"}
    hand.give(replace(order(1), headers=order(1).headers | mark, body=b"["))
    assert replayed(dead_letters(hand)[0]).headers.keys() & mark.keys() == {"dead-letter"}


def _parts(letter):
    return letter.headers, letter.body


NASTY = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnitirw\r\n  dead-reason: none"


def test_a_letter_is_shown_as_text_whatever_a_terminal_would_do_about_it():
    """No sequence moves the cursor or sets the title; and no line of it looks like one of ours."""
    wire_ = {"ce-type": NASTY, "dead-exception": NASTY, NASTY: NASTY}, NASTY.encode()
    shown = repr(read_letter("order", *wire_))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e]", shown)
    assert not any(line.startswith("  dead-reason") for line in shown.splitlines())


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"null", b"[" * 100_000])
def test_an_edit_that_breaks_the_body_is_refused(body):
    """In a sentence: replayed, it would only come back."""
    letter = read_letter("order", *wire(CREATED))
    with pytest.raises(ShopError, match="JSON"):
        letter.edited(body)
