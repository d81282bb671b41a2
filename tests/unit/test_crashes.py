"""Every crash point and every failure of a database, one after the other: the same end."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from world import DECLINED_CARD, World

from ecom.events import Line
from ecom.runtime.tables import Counter, Effect, Handled, Outbox
from ecom.services.audit import Entry
from ecom.services.inventory import Stock
from ecom.services.order import CancelOrder, Order, PlaceOrder
from ecom_lab.shop import SAGA, SERVICES

TEA = (Line("TEA", 1, 100), Line("CAKE", 2, 300))
STEADY = {  # what customers do; however the services are scheduled, one thing becomes of it
    "confirmed": ["4242"],
    "declined": [DECLINED_CARD],
    "confirmed, then cancelled": ["4242", "run", "cancel"],
    "the last one sold twice": ["4242", "4242"],
}
RACES = {  # here a crash may turn the race, and money be captured and refunded, or never captured
    "cancelled at once": ["4242", "cancel"],
    "cancelled while paying": ["4242", "order", "inventory", "payment", "cancel", "order"],
}
WAYS = STEADY | RACES


def after(way: str, prepare: Callable[[World], None] = lambda world: None) -> World:
    """The world after customers have done this, and all is quiet."""
    world = World({"TEA": 1, "CAKE": 5})
    prepare(world)
    for n, what in enumerate(WAYS[way]):
        if what == "run":
            world.run()
        elif what in SERVICES:
            world.step(what)
        elif what == "cancel":
            world.command(f"cancel-{n}", CancelOrder("1001"))
        else:
            world.command(f"place-{n}", PlaceOrder("a@example.com", what, TEA, f"key-{n}"))
    world.run()
    return world


def everything(world: World) -> dict:
    """All that matters in the end: every service's own tables, money, mail, and nothing unsent."""
    tables = {
        name: world.rows(name, SAGA.services[name].rows) for name in SERVICES if name != "audit"
    }
    heard = sorted(
        (row.order_id, row.type, row.id) for row in world.rows("audit", SAGA.services["audit"].rows)
    )
    waiting = [
        row
        for name in SERVICES
        for row in world.rows(name, (Outbox, Effect))
        if row.done_at is None
    ]
    uncounted = ("duplicates", "transactions")
    counters = {
        name: [row for row in world.rows(name, (Counter,)) if row.name not in uncounted]
        for name in SERVICES
    }
    notes = {
        name: [it for row in world.rows(name, (Handled,)) for it in row.messages]
        for name in SERVICES
    }
    return tables | {
        "audit": heard,
        "ledger": world.ledger,
        "mails": world.mails,
        "waiting": waiting,
        "counters": counters,
        # A command is handled again when its answer is lost.
        "noted": {
            name: sorted(repr(it) for it in noted if not is_command(it))
            for name, noted in notes.items()
        },
    }


def is_command(noted: Any) -> bool:
    return not isinstance(noted, str) and noted[1] in ("PlaceOrder", "CancelOrder")


def essence(world: World) -> dict:
    """What must be so whoever wins a race: the books, and what was said and heard once each."""
    said = [row.id for name in SERVICES for row in world.rows(name, (Outbox,))]
    return {
        "orders": [(order.state, order.reason) for order in world.rows("order", (Order,))],
        "stock": world.rows("inventory", (Stock,)),
        "kept": {
            key
            for key in world.ledger
            if key.startswith("capture") and key.replace("capture", "refund") not in world.ledger
        },
        "mails": [key for key in world.mails if not key.startswith("refunded")],
        "heard": sorted(row.id for row in world.rows("audit", (Entry,))) == sorted(said),
        "waiting": everything(world)["waiting"],
    }


def nth(n: int) -> Callable[[], bool]:
    """True the n-th time it is asked, and only then."""
    times = count()
    return lambda: next(times) == n


ALL = [*((way, everything) for way in STEADY), *((way, essence) for way in RACES)]


@pytest.mark.parametrize(("way", "told"), ALL)
def test_a_crash_before_any_output_changes_nothing_in_the_end(way, told):
    """Whichever process dies, between whichever two outputs: after its restart the tables, the
    ledger, the mailbox, the counters, the event log (ids included) and the notes of what was
    handled are those of a calm day."""
    asked = count()
    calm = told(after(way, lambda world: setattr(world, "crashes", lambda: next(asked) < 0)))
    crash_points = next(asked)
    assert crash_points > 15
    for n in range(crash_points):
        assert told(after(way, lambda world, n=n: setattr(world, "crashes", nth(n)))) == calm, n


@pytest.mark.parametrize(("way", "told"), ALL)
def test_a_database_that_is_unavailable_once_changes_nothing_in_the_end(way, told):
    """At any begin, read or commit: the same inputs again give what they would have given."""
    asked = count()
    calm = told(after(way, lambda world: world.fail_stores(lambda: next(asked) < 0)))
    uses = next(asked)
    assert uses > 15
    for n in range(uses):
        assert told(after(way, lambda world, n=n: world.fail_stores(nth(n)))) == calm, n


ENDS = {
    "confirmed": [("CONFIRMED", None)],
    "declined": [("CANCELLED", "card declined")],
    "cancelled at once": [("CANCELLED", "cancelled by customer")],
    "cancelled while paying": [("CANCELLED", "cancelled by customer")],
    "confirmed, then cancelled": [("CANCELLED", "cancelled by customer")],
    "the last one sold twice": [("CONFIRMED", None), ("CANCELLED", "insufficient stock")],
}


@pytest.mark.parametrize("way", WAYS)
def test_a_calm_day_ends_as_it_should(way):
    """What the comparisons above compare with."""
    world = essence(after(way))
    assert world["orders"] == ENDS[way]
    assert world["waiting"] == []
    assert world["heard"]
    assert len(world["mails"]) == len(ENDS[way]) + (way == "confirmed, then cancelled")
    assert all(s.initial == s.available + s.held + s.committed for s in world["stock"])
    assert len(world["kept"]) == ENDS[way].count(("CONFIRMED", None)) + (way == "declined")
