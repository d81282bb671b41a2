"""The messages of one order that succeeds, in their order, as they are on the wire."""

import uuid
from datetime import UTC, datetime

from benchmarks.shop import order
from ecom.contract.envelope import Envelope, encode, trace_after
from ecom.contract.event import Event
from ecom.events import (
    InventoryCommitted,
    InventoryProcessed,
    Line,
    OrderConfirmed,
    OrderCreated,
    PaymentProcessed,
)


def _events() -> list[Event]:
    asked = order(0)
    who = ("1001", asked["customer"])
    lines = tuple(Line(**line) for line in asked["lines"])
    until = datetime(2026, 11, 5, 12, 0, 0, 123456, tzinfo=UTC)
    return [
        OrderCreated(*who, asked["card"], 1250, lines),
        InventoryProcessed(*who, asked["card"], 1250, until),
        PaymentProcessed(*who, 1250),
        InventoryCommitted(*who),
        OrderConfirmed(*who, 1250),
    ]


def _wire(event: Event) -> tuple[dict, bytes]:
    id_ = str(uuid.UUID(int=1 << 100))
    when, trace = "2026-11-05T12:00:00.000Z", trace_after("", id_, id_)
    what = (event.key, event.version, when, event.producer, event.order_id)
    return encode(Envelope(id_, *what, id_, id_, trace), event)


WIRE = {event.key: _wire(event) for event in _events()}
FOLLOWING = dict(zip(WIRE, [*list(WIRE)[1:], None], strict=True))
