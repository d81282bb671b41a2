"""Release N+1, as its processes have it: one event, one timer and one effect have learned a field
that release N does not know, orders have another column, and the schema is a step further.
"""

import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ecom import events
from ecom.runtime.saga import Saga
from ecom.runtime.service import Service
from ecom.services import inventory, order, payment
from ecom.stores import migrations


class OrderCreated(events.OrderCreated, frozen=True):
    """A customer's order was accepted; it may be a gift."""

    version = 2

    gift_note: str = "with love"


class Order(order.Order, frozen=True):
    """An order as its customer sees it; it may be a gift."""

    gift_note: str = "with love"


class HoldDeadline(inventory.HoldDeadline, frozen=True):
    """Timer: the hold of this order runs out now; its customer may have been reminded."""

    reminded: bool = False


class Capture(payment.Capture, frozen=True):
    """Take `amount` pence from the card, whose owner reads this."""

    statement: str = "gift shop"


_NEWER: dict[Any, Any] = {
    events.OrderCreated: OrderCreated,
    order.Order: Order,
    inventory.HoldDeadline: HoldDeadline,
    payment.Capture: Capture,
}


def next_release(saga: Saga) -> Saga:
    """The saga as release N+1 has it, which this process is of from now on."""
    for name in [name for name in sys.modules if name.startswith("ecom.")]:
        for attribute, value in [*vars(sys.modules[name]).items()]:
            if isinstance(value, type) and value in _NEWER:
                setattr(sys.modules[name], attribute, _NEWER[value])
    step = migrations.Step(_note_gifts, migrations.VERSION)  # which release N may still read
    migrations.STEPS, migrations.VERSION = (*migrations.STEPS, step), migrations.VERSION + 1
    contract = replace(saga.contract, events=_newer(saga.contract.events))
    return Saga(contract, {name: _upgraded(it) for name, it in saga.services.items()})


def _note_gifts(db: migrations.Schema, found: migrations.Found) -> None:
    """No order of before was a gift."""
    if "gift_note" not in found.tables.get("orders", {"gift_note"}):
        db.execute("ALTER TABLE orders ADD COLUMN gift_note TEXT DEFAULT 'none'")


def _upgraded(service: Service) -> Service:
    newer = {name: _newer(getattr(service, name)) for name in ("rows", "effects")}
    for name in "handlers", "retries", "given_up", "transitions":
        newer[name] = {_NEWER.get(kind, kind): it for kind, it in getattr(service, name).items()}
    return replace(service, **newer)


def _newer(kinds: Iterable[type]) -> Any:
    return tuple(_NEWER.get(kind, kind) for kind in kinds)
