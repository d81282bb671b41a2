"""The picture of who publishes what, and who listens: drawn from a saga, whichever it is."""

from world import World

from ecom.contract.contract import EVERYTHING, Contract, Event
from ecom.events import Line
from ecom.harness.diagrams import palette
from ecom.runtime.saga import Saga
from ecom.runtime.service import Service
from ecom.sandbox.cards import GOOD_CARD
from ecom.services.audit import Entry
from ecom.services.order import PlaceOrder
from ecom_lab.docs.choreography import UNDO, Choreography
from ecom_lab.shop import CONTRACT, SAGA, SERVICES


class RoomWanted(Event, frozen=True):
    """A guest has asked for a room."""

    key = "desk.wanted"
    producer = "desk"
    stay: str


class RoomTaken(Event, frozen=True):
    """There is none."""

    key = "floor.taken"
    producer = "floor"
    failure = True
    stay: str


def test_every_event_goes_to_whoever_listens():
    """A line each, and no service is left out."""
    lines = Choreography(SAGA).text.splitlines()
    for line, (key, event) in zip(lines[1:], CONTRACT.by_key.items(), strict=False):
        assert line.split()[line.startswith(UNDO)] == key
        assert event.producer in line.partition("→")[0]
        for name in CONTRACT.listeners(key):
            assert name in line.partition("→")[2]
    assert lines[-1] == "audit listens to everything, and it alone to inventory.released"
    assert all(name in Choreography(SAGA).svg for name in SERVICES)


def test_a_failure_is_what_no_successful_order_publishes():
    """Declared with each event, and true: of a good order's saga the log has all others."""
    world = World({"TEAPOT": 1})
    world.command("1", PlaceOrder("ada@example.com", GOOD_CARD, (Line("TEAPOT", 1, 100),)))
    world.run()
    logged = {entry.type for entry in world.stores["audit"].select(Entry, {}, None)}
    assert logged == {key for key, event in CONTRACT.by_key.items() if not event.failure}


def test_any_saga_can_be_drawn():
    """Of another trade, with a circle, and without a log."""
    desk = Service("desk", rows=(), handlers={RoomTaken: print})
    floor = Service("floor", rows=(), handlers={RoomWanted: print})
    listens = {"desk": (RoomTaken.key,), "floor": (RoomWanted.key,)}
    contract = Contract("hotel", (RoomWanted, RoomTaken), listens)
    picture = Choreography(Saga(contract, {"desk": desk, "floor": floor}))
    assert picture.text.splitlines()[1:] == [
        "  desk.wanted                  desk → floor",
        "↶ floor.taken                 floor → desk",
    ]
    assert palette.FAILURE.lower() in picture.svg


def test_a_service_that_listens_to_everything_and_publishes_has_a_lane():
    """Only a mere log is left to the footnote."""
    desk = Service("desk", rows=(), handlers={RoomWanted: print})
    contract = Contract("hotel", (RoomWanted,), {"desk": (EVERYTHING,)})
    svg = Choreography(Saga(contract, {"desk": desk})).svg
    assert ">desk<" in svg
    assert "desk listens to everything, and it alone to desk.wanted" in svg
