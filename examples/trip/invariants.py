"""What must hold of every trip: its books, for the explorer and for the real services."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from examples.trip.services import Car, HireCar, IssueTicket, ReturnCar, Rooms, Stay, Trip, Yes


def granted(books: Any, service: str, wish: type) -> Counter[str]:
    """How often the world outside said yes to this, by trip."""
    ledger = books.ledger(service)
    return Counter(
        it.subject for it in ledger if type(it.effect) is wish and type(it.answer) is Yes
    )


def rooms_add_up(books: Any) -> Iterator[str]:
    """A room is free or somebody's, and never two people's."""
    kept = Counter(it.city for it in books.rows("hotel", Stay).values() if it.state != "LOST")
    for it in books.rows("hotel", Rooms).values():
        if it.free < 0 or it.free + kept[it.city] != it.total:
            yield f"{it.city}: {it.free} free and {kept[it.city]} kept, of {it.total}"


def nothing_twice(books: Any) -> Iterator[str]:
    """A trip has one car, one ticket, and one fee at most."""
    for service, wish in ("car", HireCar), ("flight", IssueTicket), ("car", ReturnCar):
        for trip, times in granted(books, service, wish).items():
            if times > 1:
                yield f"trip {trip}: {wish.__name__} {times} times"


def no_ticket_for_nothing(books: Any) -> Iterator[str]:
    """Nobody pays for a flight of a trip that was cancelled."""
    trips = books.rows("trip", Trip)
    for id_ in granted(books, "flight", IssueTicket):
        if trips[id_].state == "CANCELLED":
            yield f"trip {id_}"


def all_or_nothing(books: Any) -> Iterator[str]:
    """In the end a trip has room, car and ticket, or none of them; and every trip ends."""
    cars = granted(books, "car", HireCar) - granted(books, "car", ReturnCar)
    tickets = granted(books, "flight", IssueTicket)
    stays = books.rows("hotel", Stay)
    for id_, trip in books.rows("trip", Trip).items():
        has = id_ in stays and stays[id_].state == "TAKEN", cars[id_] == 1, tickets[id_] == 1
        if trip.state == "REQUESTED" or set(has) != {trip.state == "CONFIRMED"}:
            yield f"trip {id_} is {trip.state}; room, car, ticket: {has}"


def fees_are_known(books: Any) -> Iterator[str]:
    """What the agency took for cars that came back is what the car service has written down."""
    fees = {it.subject: it.answer.fee for it in books.ledger("car") if type(it.effect) is ReturnCar}
    for id_, car in books.rows("car", Car).items():
        if car.fee != fees.get(id_, 0):
            yield f"trip {id_}: {car.fee} written down, {fees.get(id_, 0)} taken"


ALWAYS = (rooms_add_up, nothing_twice, no_ticket_for_nothing)
SETTLED = (all_or_nothing, fees_are_known)
