"""One event of each type, as it would be of one order on a fixed day: for documents and tests."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from ecom import events
from ecom.contract.contract import Event
from ecom.contract.envelope import Envelope, Headers, derived_id, encode, rfc3339, trace_after
from ecom.sandbox.cards import GOOD_CARD as CARD

NOON = datetime(2026, 11, 5, 12, tzinfo=UTC)
WHO = ("1001", "lotte@example.com")
EXAMPLES: dict[str, Event] = {
    event.key: event
    for event in (
        events.OrderCreated(*WHO, CARD, 2500, (events.Line("TEA-COSY", 2, 1250),)),
        events.InventoryProcessed(*WHO, CARD, 2500, NOON),
        events.InventoryFailed(*WHO, "insufficient stock", "TEA-COSY"),
        events.PaymentProcessed(*WHO, 2500),
        events.PaymentFailed(*WHO, "card declined"),
        events.InventoryCommitted(*WHO),
        events.InventoryExpired(*WHO),
        events.OrderConfirmed(*WHO, 2500),
        events.OrderCancelled(*WHO, "cancelled by customer"),
        events.InventoryReleased(*WHO),
        events.PaymentRefunded(*WHO, 2500),
    )
}


def examples() -> dict[str, tuple[Headers, Any]]:
    """Headers and body (as JSON values) of one event of each type; always the same."""
    return {key: _published(event) for key, event in EXAMPLES.items()}


def _published(event: Event) -> tuple[Headers, Any]:
    """The event, as if it followed from its order's command."""
    saga = derived_id("ecom", "example")
    id_ = derived_id(saga, event.key)
    about = id_, event.key, event.version, rfc3339(NOON.timestamp()), event.producer, WHO[0]
    headers, body = encode(Envelope(*about, saga, saga, trace_after("", saga, id_)), event, 1)
    return headers, msgspec.json.decode(body)
