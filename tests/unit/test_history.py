"""An order's history: all that happened to it, causes before effects, and what is still awaited."""

from itertools import pairwise

import pytest
from shuffled import Shuffled, meddle, what

from ecom.errors import ShopError
from ecom.services.order import CancelOrder
from ecom.shop.history import history, past_of
from ecom.shop.records import Records
from ecom_lab.shop import CONTRACT, EVENTS

CONFIRMED = """\
Order 1001: CONFIRMED
  1  customer → order           places the order
  2  order                      PENDING
  3  order → inventory          order.created
  4  inventory                  HELD
  5  inventory → payment        inventory.processed
  6  payment                    PENDING
  7  payment → provider         capture £1.00
  8  provider → payment         captured
  9  payment                    PENDING → CAPTURED
 10  payment → inventory        payment.processed
 11  inventory                  HELD → COMMITTED
 12  inventory → order          inventory.committed
 13  order                      PENDING → CONFIRMED
 14  order → notification       order.confirmed
 15  notification               told: confirmed
 16  notification → mailbox     Order #1001 Confirmed"""


@pytest.fixture
def world(tmp_path):
    """A shop with one order, not yet begun."""
    world = Shuffled(tmp_path, seed=1)
    world.place(0, card="4242")
    return world


def test_a_confirmed_order_reads_from_top_to_bottom(world):
    """Every event, transition, effect and e-mail, each after what it follows from."""
    world.finish()
    account = history(world.folder, "1001")
    assert repr(account) == CONFIRMED
    assert account.awaited == []


def test_the_frame_has_a_row_a_step_and_no_ids(world):
    """Plain text columns, the same on every run: fit to be shown and compared."""
    world.finish()
    frame = history(world.folder, "1001").frame
    assert list(frame) == ["what", "source", "target", "about", "detail", "status"]
    assert list(frame.iloc[2]) == ["event", "order", "inventory", "order.created", "", "done"]
    assert set(map(str, frame.dtypes)) == {"str"}
    ids = {each.id for each in past_of(world.folder).log}
    assert not ids & set(frame.to_numpy().ravel())


def test_a_notebook_shows_the_diagram(world):
    """And whoever cannot see it is given its words."""
    world.finish()
    account = history(world.folder, "1001")
    data, metadata = account._repr_mimebundle_(include=None, exclude=None)
    assert data["text/plain"] == metadata["image/png"]["alt"] == CONFIRMED
    assert data["image/png"].startswith("iVBORw0KGgo")


def test_a_cancelled_order_tells_each_compensation(world):
    """Confirmed, then cancelled by the customer: stock and money go back, and all are told."""
    world.run()
    world.command("cancel", CancelOrder("1001"))
    world.finish()
    account = history(world.folder, "1001")
    assert what(account, "state") == [
        "order PENDING",
        "inventory HELD",
        "payment PENDING",
        "payment PENDING → CAPTURED",
        "inventory HELD → COMMITTED",
        "order PENDING → CONFIRMED",
        "notification told: confirmed",
        "order CONFIRMED → CANCELLED",
        "inventory COMMITTED → RELEASED",
        "payment CAPTURED → REFUNDING",
        "notification told: cancelled",
        "payment REFUNDING → REFUNDED",
        "notification told: refunded",
    ]
    assert "inventory inventory.released" in what(account, "event")
    assert what(account, "mail") == [
        f"notification → mailbox {subject}"
        for subject in ("Order #1001 Confirmed", "Order #1001 Cancelled", "Refund for Order #1001")
    ]


def test_an_expired_hold_shows_the_deadline_after_what_it_waited_for(tmp_path):
    """The provider never answers: the capture stays open, the hold runs out, the order ends."""
    world = Shuffled(tmp_path, seed=1, hold=30.0)
    world.place(0, card="4242")
    world.deafen()
    world.run()
    world.tick(31.0)
    account = history(tmp_path, "1001")
    assert what(account, "timer") == ["inventory the hold runs out"]
    assert what(account, "effect") == ["payment → provider capture £1.00 [awaited] (no answer yet)"]
    kinds = [step.kind for step in account.steps]
    assert kinds.index("effect") < kinds.index("retry") < kinds.index("timer")
    assert account.title == "Order 1001: CANCELLED, hold expired"


def test_retries_of_a_call_are_told_with_the_last_error(world):
    """How often it was asked, and why it had to be."""
    world.deafen()
    world.run()
    account = history(world.folder, "1001")
    retry = "payment → provider asked once so far [awaited] (GatewayError: no answer)"
    assert what(account, "retry") == [retry]
    world.deaf = False
    world.finish()
    [retry] = what(history(world.folder, "1001"), "retry")
    assert retry == "payment → provider asked 2 times [retried] (GatewayError: no answer)"


def test_a_call_that_was_given_up_is_a_dead_letter(world):
    """After its last attempt the capture is dead: drawn as such, and nothing more is awaited."""
    world.deafen()
    world.finish()
    account = history(world.folder, "1001")
    assert what(account, "effect") == ["payment → provider capture £1.00 [dead]"]
    assert what(account, "dead") == [
        "payment dead letter after 12 attempts [dead] (GatewayError: no answer)"
    ]
    assert account.awaited == []


def test_a_dead_letter_that_was_replayed_is_told(world):
    """The event was handled in the end, but not before it had been a dead letter."""
    world.finish()
    id_ = past_of(world.folder).log[0].id
    headers = '{"dead-reason": "failed", "dead-exception": "ValueError: what is this?"}'
    row = (999, id_, "dead", "1001", "dead", headers, b"{}", 0.0, "1")
    columns = "seq, id, type, subject, exchange, headers, body, created_at, owner"
    values = ", ".join("?" * len(row))
    meddle(world, "inventory", f"INSERT INTO outbox ({columns}) VALUES ({values})", *row)
    steps = [" ".join(str(step).split()) for step in history(world.folder, "1001").steps]
    assert steps[2:5] == [
        "order → inventory order.created",
        "inventory dead letter, failed, replayed [dead] (ValueError: what is this?)",
        "inventory HELD",
    ]


@pytest.mark.parametrize("seed", [0, 2, 4, 5])
def test_every_history_is_whole_and_in_order(tmp_path, seed):
    """Whatever raced and crashed: each event reaches each listener once, and states join up."""
    Shuffled(tmp_path, seed, trouble=0.1, hold=20.0).shop(10)
    log = past_of(tmp_path).log
    for order_id in Records(tmp_path).orders().order_id:
        account = history(tmp_path, order_id)
        published = [each.event.key for each in log if each.subject == order_id]
        told = sorted((s.label, s.target) for s in account.steps if s.kind == "event")
        consumed_by = {
            key: CONTRACT.listeners(key) or (kind.producer,) for key, kind in EVENTS.items()
        }
        assert told == sorted((key, name) for key in published for name in consumed_by[key])
        for service in ("order", "inventory", "payment"):
            states = [s.label for s in account.steps if (s.kind, s.source) == ("state", service)]
            for before, after in pairwise(states):
                assert after.split(" → ")[0] == before.split(" → ")[-1].split(" (")[0]
        assert account.awaited == []
        assert repr(account) == repr(history(tmp_path, order_id))


@pytest.mark.parametrize("seed", [0, 2])
def test_nothing_is_told_before_its_cause(tmp_path, seed):
    """By the ids in the log: a service publishes only after it has consumed the cause."""
    Shuffled(tmp_path, seed, trouble=0.1, hold=20.0).shop(10)
    log = {logged.id: logged for logged in past_of(tmp_path).log}
    for logged in log.values():
        cause = log.get(logged.causation)
        if cause is not None:
            steps = history(tmp_path, logged.subject).steps
            told = [(s.label, s.target) for s in steps if s.kind == "event"]
            consumed = told.index((cause.event.key, logged.event.producer))
            published = [i for i, (label, _) in enumerate(told) if label == logged.event.key]
            assert min(published) > consumed


def test_a_log_that_cannot_be_replayed_still_has_a_history(world):
    """Without the changes of state, and it says why."""
    world.finish()
    meddle(world, "audit", "DELETE FROM events WHERE type = 'inventory.processed'")
    account = history(world.folder, "1001")
    assert "Without its changes of state. The log cannot be replayed" in account.title
    assert what(account, "state") == []
    assert what(account, "event") == [
        "order → inventory order.created",
        "payment → inventory payment.processed",
        "inventory → order inventory.committed",
        "order → notification order.confirmed",
        "inventory → payment inventory.processed [awaited] (not in the log yet)",
    ]


def test_an_order_that_does_not_exist_is_named(world):
    """In one sentence."""
    with pytest.raises(ShopError, match="There is no order '7'"):
        history(world.folder, "7")
