"""The picture of who says what to whom: drawn from the contract and the handlers, never by hand."""

from dataclasses import replace
from typing import ClassVar

from helpers import without

from ecom.contract.event import Event
from ecom.events import OrderCancelled
from ecom.harness.diagrams.choreography import Choreography
from ecom_lab.shop import CONTRACT, SAGA, SERVICES


class OrderShipped(Event, frozen=True):
    """An event that the shop does not know."""

    key: ClassVar[str] = "order.shipped"
    producer: ClassVar[str] = "order"


def test_every_event_goes_to_whoever_listens():
    """The arrows are the contract's, and each ends at a handler."""
    picture = Choreography()
    for name in SERVICES:
        if name != "audit":
            assert {each.key for each in picture.arrows if each.listener == name} == {
                *CONTRACT.heard_by(name)
            }
    assert all(each.handled for each in picture.arrows)
    assert picture.all_ears == ["audit"]
    assert picture.unheard == ["inventory.released"]


def test_the_way_forward_is_that_of_orders_that_succeed():
    """Found by running the handlers; whatever else is said undoes something."""
    assert Choreography().forward == {
        "order.created",
        "inventory.processed",
        "payment.processed",
        "inventory.committed",
        "order.confirmed",
    }


def test_a_new_event_is_in_the_picture_at_once():
    """And that nobody handles it yet can be seen, in the picture and in words."""
    picture = Choreography(
        replace(
            CONTRACT,
            events=(*CONTRACT.events, OrderShipped),
            listens={
                **CONTRACT.listens,
                "payment": (*CONTRACT.listens["payment"], "order.shipped"),
            },
        )
    )
    assert "order.shipped" not in Choreography().svg
    assert "order.shipped (no handler)" in picture.svg
    assert "payment (no handler)" in picture.text.splitlines()[-1]


def test_a_handler_that_is_gone_is_missed():
    """An event that its listener no longer handles falls on deaf ears."""
    services = [without(SAGA.services[name], OrderCancelled) for name in SERVICES]
    picture = Choreography(services=services)
    deaf = {each.listener for each in picture.arrows if not each.handled}
    assert deaf == {"inventory", "payment", "notification"}
    assert picture.all_ears == [], "audit no longer hears everything"
