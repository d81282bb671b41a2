"""What each service of a trip does: plain functions of a message and a unit of work."""

from msgspec import Struct
from msgspec.structs import replace

from ecom import Row, Work
from examples.trip import events

OFFER_SECONDS = 60.0  # how long the hotel holds a room


class Yes(Struct, frozen=True):
    """What agency and airline answer to what they do, and what it costs in pence."""

    trip_id: str
    traveller: str
    fee: int = 0


class No(Struct, frozen=True):
    """What they answer to what they do not."""

    trip_id: str
    reason: str


# ── trip: who wants to go, and what became of it ──────────────────────────────────────────────
class BookTrip(Struct, frozen=True):
    """Command; the id is the traveller's, so whoever asks twice has one trip."""

    trip_id: str
    traveller: str
    city: str


class Trip(Row, frozen=True):
    table = "trips"

    trip_id: str
    state: str = "REQUESTED"  # then CONFIRMED or CANCELLED
    reason: str = ""


def book(wish: BookTrip, work: Work) -> Trip:
    trip = work[Trip].get(wish.trip_id)
    if trip is None:
        trip = Trip(wish.trip_id)
        work[Trip].put(trip)
        work.emit(events.TripRequested(wish.trip_id, wish.traveller, wish.city))
    return trip


def confirm(issued: events.TicketIssued, work: Work) -> None:
    work[Trip].put(Trip(issued.trip_id, "CONFIRMED"))


def cancel(setback: events.Setback, work: Work) -> None:
    if work[Trip][setback.trip_id].state == "REQUESTED":
        work[Trip].put(Trip(setback.trip_id, "CANCELLED", setback.reason))
        work.emit(events.TripCancelled(setback.trip_id, setback.reason))


# ── hotel: the arbiter between the end of its offer and the ticket ────────────────────────────
class Rooms(Row, frozen=True):
    table = "rooms"

    city: str
    total: int
    free: int


class Stay(Row, frozen=True):
    table = "stays"

    trip_id: str
    city: str
    state: str = "HELD"  # then TAKEN or LOST


class OfferEnds(Struct, frozen=True):
    trip_id: str  # whose room nobody has taken until now


def hold(trip: events.TripRequested, work: Work) -> None:
    rooms = work[Rooms].get(trip.city)
    if rooms is None or not rooms.free:
        work.emit(events.RoomLost(trip.trip_id, "no room"))
        return
    work[Rooms].put(replace(rooms, free=rooms.free - 1))
    work[Stay].put(Stay(trip.trip_id, trip.city))
    work.set_timer(work.now + OFFER_SECONDS, OfferEnds(trip.trip_id))
    work.emit(events.RoomHeld(trip.trip_id, trip.traveller))


def take(car: events.CarBooked, work: Work) -> None:
    stay = work[Stay][car.trip_id]
    if stay.state == "HELD":
        work[Stay].put(replace(stay, state="TAKEN"))
        work.emit(events.RoomTaken(car.trip_id, car.traveller))


def expire(timer: OfferEnds, work: Work) -> None:
    if work[Stay][timer.trip_id].state == "HELD":
        vacate(timer, work)
        work.emit(events.RoomLost(timer.trip_id, "the offer has expired"))


def vacate(trip: events.TripCancelled | OfferEnds, work: Work) -> None:
    stay = work[Stay].get(trip.trip_id)
    if stay and stay.state != "LOST":
        rooms = work[Rooms][stay.city]
        work[Rooms].put(replace(rooms, free=rooms.free + 1))
        work[Stay].put(replace(stay, state="LOST"))


# ── car: a step that is undone at a price ─────────────────────────────────────────────────────
class Car(Row, frozen=True):
    table = "cars"

    trip_id: str
    state: str = "ASKED"  # then BOOKED or REFUSED; UNWANTED, then RETURNED
    fee: int = 0


class HireCar(Struct, frozen=True):
    trip_id: str
    traveller: str


class ReturnCar(Struct, frozen=True):
    trip_id: str


def hire(room: events.RoomHeld, work: Work) -> None:
    if work[Car].get(room.trip_id) is None:  # else it was cancelled before we knew of it
        work[Car].put(Car(room.trip_id))
        work.request(HireCar(room.trip_id, room.traveller), key=f"hire/{room.trip_id}")


def hired(yes: Yes, work: Work) -> None:
    car = work[Car][yes.trip_id]
    if car.state == "ASKED":
        work[Car].put(replace(car, state="BOOKED"))
        work.emit(events.CarBooked(yes.trip_id, yes.traveller))
    elif yes.fee:
        work[Car].put(replace(car, state="RETURNED", fee=yes.fee))
    else:  # it was cancelled while we asked
        work.request(ReturnCar(yes.trip_id), key=f"return/{yes.trip_id}")


def refused(no: No, work: Work) -> None:
    work[Car].put(Car(no.trip_id, "REFUSED"))
    work.emit(events.CarRefused(no.trip_id, no.reason))


def bring_back(trip: events.TripCancelled, work: Work) -> None:
    car = work[Car].get(trip.trip_id)
    if car is None or car.state != "REFUSED":
        work[Car].put(Car(trip.trip_id, "UNWANTED"))
    if car and car.state == "BOOKED":
        work.request(ReturnCar(trip.trip_id), key=f"return/{trip.trip_id}")


# ── flight: the step that nobody undoes ───────────────────────────────────────────────────────
class IssueTicket(Struct, frozen=True):
    trip_id: str
    traveller: str


def fly(room: events.RoomTaken, work: Work) -> None:
    work.request(IssueTicket(room.trip_id, room.traveller), key=f"ticket/{room.trip_id}")


def issued(yes: Yes, work: Work) -> None:
    work.emit(events.TicketIssued(yes.trip_id, yes.traveller))


def sold_out(no: No, work: Work) -> None:
    work.emit(events.TicketRefused(no.trip_id, no.reason))
