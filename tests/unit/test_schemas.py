"""What the door accepts, the other services accept: or an accepted order would never end."""

from contextlib import suppress

import msgspec
import pytest
from helpers import envelope_for, steady
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ecom.api.app import application
from ecom.api.schemas import OneOrMany, OrderIn
from ecom.contract.envelope import MAX_BODY, decode, encode
from ecom.events import Line, OrderCreated
from ecom_lab.shop import CONTRACT

lines = st.lists(
    st.fixed_dictionaries(
        {
            "sku": st.text(max_size=70),
            "quantity": st.integers(-1, 10**6 + 1),
            "unit_price": st.integers(-1, 10**8 + 1),
        }
    ),
    max_size=3,
)


@steady
@given(st.text() | st.emails(), st.text(max_size=70) | st.just("tok_1"), lines)
def test_what_the_door_accepts_every_listener_accepts(customer, card, lines):
    """Otherwise an accepted order would never end."""
    with suppress(ValidationError):
        adapter = TypeAdapter(OneOrMany)
        order = adapter.validate_python({"customer": customer, "card": card, "lines": lines})
        assert event_of(order)


@pytest.mark.parametrize(
    "sku",
    ["𝄞" * 60, '"' * 64, "\\" * 64, "é" * 64],
    ids=["clefs", "quotes", "backslashes", "accents"],
)
def test_the_longest_order_that_the_door_accepts_fits_an_event(sku):
    accepted = 0
    for size in range(10, 1_001, 10):
        line = {"sku": sku, "quantity": 10**6, "unit_price": 10**6}
        with suppress(ValidationError):
            body = event_of(OrderIn(customer="a@" + "é" * 126, card="4" * 64, lines=[line] * size))
            accepted = len(body)
    assert MAX_BODY * 0.6 < accepted <= MAX_BODY


def event_of(order):
    """The body of the event that an accepted order becomes; a listener reads it as it is."""
    lines = tuple(Line(it.sku, it.quantity, it.unit_price) for it in order.lines)
    total = sum(it.quantity * it.unit_price for it in lines)
    event = OrderCreated("1001", order.customer, order.card, total, lines)
    headers, body = encode(envelope_for(event), event, 1)
    assert msgspec.json.encode(decode(CONTRACT, headers, body)[1]) == body
    return body


def test_an_operation_is_called_as_its_function():
    """Clients are generated from the document: `get_order`, not `one_orders_order_id_get`."""
    paths = application().openapi()["paths"].values()
    ids = {operation["operationId"] for path in paths for operation in path.values()}
    assert ids == {
        "place_orders",
        "get_order",
        "list_orders",
        "cancel_order",
        "get_order_history",
        "create_customer_token",
        "get_health",
    }
