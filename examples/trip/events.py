"""What the services of a trip tell each other."""

from ecom import Event


class Step(Event, frozen=True):
    """One more part of somebody's trip."""

    trip_id: str
    traveller: str


class Setback(Event, frozen=True):
    """Something without which there is no trip."""

    failure = True

    trip_id: str
    reason: str


class TripRequested(Step, frozen=True):
    """Somebody wants to go."""

    key, producer = "trip.requested", "trip"

    city: str


class RoomHeld(Step, frozen=True):
    """There is a room: an offer that expires."""

    key, producer = "hotel.held", "hotel"


class CarBooked(Step, frozen=True):
    """There is a car; to give it back costs a fee."""

    key, producer = "car.booked", "car"


class RoomTaken(Step, frozen=True):
    """The offer was taken before it expired."""

    key, producer = "hotel.taken", "hotel"


class TicketIssued(Step, frozen=True):
    """There is a ticket, which nobody takes back: the trip takes place."""

    key, producer = "flight.issued", "flight"


class RoomLost(Setback, frozen=True):
    """There was no room, or the offer has expired."""

    key, producer = "hotel.lost", "hotel"


class CarRefused(Setback, frozen=True):
    """The agency has no car for this traveller."""

    key, producer = "car.refused", "car"


class TicketRefused(Setback, frozen=True):
    """The airline has no seat."""

    key, producer = "flight.refused", "flight"


class TripCancelled(Setback, frozen=True):
    """The trip does not take place: whoever has something for it gives it back."""

    key, producer = "trip.cancelled", "trip"


STEPS = (TripRequested, RoomHeld, CarBooked, RoomTaken, TicketIssued)
SETBACKS = (RoomLost, CarRefused, TicketRefused)
