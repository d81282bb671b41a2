"""What an order still waits for: read from the contract, the services' tables and the log."""

import pytest
from shuffled import Shuffled, meddle, what

from ecom.services.order import CancelOrder
from ecom.shop.history import history, past_of
from ecom_lab.shop import CONTRACT, EVENTS


@pytest.fixture
def world(tmp_path):
    """A shop with one order, not yet begun."""
    world = Shuffled(tmp_path, seed=1)
    world.place(0, card="4242")
    return world


@pytest.mark.parametrize("key", [key for key in EVENTS if CONTRACT.listeners(key)])
def test_what_is_awaited_is_named(tmp_path, key):
    """While a listener has not handled an event, that is told."""
    world = Shuffled(tmp_path, seed=1)
    card = "declined" if key == "payment.failed" else "4242"
    if key == "inventory.failed":
        meddle(world, "inventory", "UPDATE stock SET available = 0, initial = 0")
    world.place(0, card=card)
    if key == "inventory.expired":
        world.deafen()
    world.hold_back(key)
    world.run()
    if key in ("order.cancelled", "payment.refunded"):
        world.command("cancel", CancelOrder("1001"))
    world.finish()
    awaited = history(tmp_path, "1001").awaited
    for listener in CONTRACT.listeners(key):
        assert f"{EVENTS[key].producer} → {listener} {key} [awaited]" in awaited


def test_a_running_deadline_is_awaited(world):
    """While nothing is paid, the hold may still run out."""
    world.deafen()
    world.run()
    [deadline] = what(history(world.folder, "1001"), "timer")
    assert deadline == "inventory the hold runs out [awaited] (unless payment comes first)"


def test_what_an_earlier_release_handled_and_forgot_is_awaited_by_nobody(world):
    """It noted nothing, so nothing can be replayed; and its rows are gone since."""
    world.run()
    world.finish()
    for name in ("order", "inventory", "payment", "notification"):
        meddle(world, name, "DELETE FROM handled")
        meddle(world, name, "DELETE FROM inbox")
    for name in ("order", "inventory", "payment"):
        meddle(world, name, "DELETE FROM outbox")
    assert history(world.folder, "1001").awaited == []


def test_what_never_came_is_awaited_also_where_nothing_can_be_replayed(world):
    """Its number is missing: nobody has handled and forgotten it."""
    world.hold_back("order.created")
    world.run()
    meddle(world, "order", "DELETE FROM handled")
    assert history(world.folder, "1001").awaited == ["order → inventory order.created [awaited]"]


def test_a_message_that_waits_for_another_try_is_awaited(world):
    """Its tries so far are told, and why they failed."""
    world.hold_back("order.created")
    world.run()
    id_ = past_of(world.folder).log[0].id
    row = (id_, "order.created", "1001", "waiting", world.now, 3, "ValueError: what is this?")
    columns = "id, type, subject, state, at, attempts, last_error"
    meddle(world, "inventory", f"INSERT INTO inbox ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", *row)
    account = history(world.folder, "1001")
    assert account.awaited[1:] == [
        "inventory tried 3 times so far [awaited] (ValueError: what is this?)"
    ]
    meddle(world, "inventory", "UPDATE inbox SET state = 'dead', attempts = 6")
    account = history(world.folder, "1001")
    assert what(account, "event") == ["order → inventory order.created [dead]"]
    assert what(account, "dead") == [
        "inventory dead letter after 6 attempts [dead] (ValueError: what is this?)"
    ]


def test_what_the_broker_has_not_taken_yet_is_awaited(world):
    """It is away: the event waits in the outbox."""
    world.inputs["order"] = world.inputs["order"][1:]  # all but the news that the broker is there
    world.step("order")
    assert history(world.folder, "1001").awaited == [
        "order → inventory order.created [awaited] (not with the broker yet)"
    ]
