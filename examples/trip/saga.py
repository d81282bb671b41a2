"""The saga of a trip: who answers what; and the world outside, which does each thing once."""

from ecom import Contract, Lifecycle, Saga, Service
from examples.trip import events, services
from examples.trip.services import Car, HireCar, IssueTicket, No, ReturnCar, Rooms, Stay, Trip, Yes


def trip() -> Saga:
    """The saga of a trip."""
    about_trip = {services.BookTrip: services.book, events.TicketIssued: services.confirm}
    about_trip |= dict.fromkeys(events.SETBACKS, services.cancel)
    ends = (events.TicketIssued, "CONFIRMED"), *((it, "CANCELLED") for it in events.SETBACKS)
    states = (("", services.BookTrip, "REQUESTED"), *(("REQUESTED", *end) for end in ends))
    changes = {Trip: Lifecycle("CONFIRMED", states)}
    about_room = {
        events.TripRequested: services.hold,
        events.CarBooked: services.take,
        services.OfferEnds: services.expire,
        events.TripCancelled: services.vacate,
    }
    about_car = {
        events.RoomHeld: services.hire,
        Yes: services.hired,
        No: services.refused,
        events.TripCancelled: services.bring_back,
    }
    about_flight = {events.RoomTaken: services.fly, Yes: services.issued, No: services.sold_out}
    parts = (
        Service("trip", (Trip,), about_trip, transitions=changes),
        Service("hotel", (Rooms, Stay), about_room),
        Service("car", (Car,), about_car, effects=(HireCar, ReturnCar)),
        Service("flight", (), about_flight, effects=(IssueTicket,)),
    )
    every = (*events.STEPS, *events.SETBACKS, events.TripCancelled)
    listens = {it.name: tuple(e.key for e in every if e in it.handlers) for it in parts}
    return Saga(Contract("trips", every, listens), {it.name: it for it in parts})


def agency(wish: HireCar | ReturnCar) -> Yes | No:
    """The car agency: whoever gives a car back pays for it."""
    if isinstance(wish, ReturnCar):
        return Yes(wish.trip_id, "", 2500)
    has_licence = wish.traveller != "no licence"
    return Yes(wish.trip_id, wish.traveller) if has_licence else No(wish.trip_id, "no licence")


def airline(wish: IssueTicket) -> Yes | No:
    """The airline: it takes no ticket back."""
    is_full = wish.traveller == "too late"
    return No(wish.trip_id, "no seat") if is_full else Yes(wish.trip_id, wish.traveller)


OUTSIDE = {"car": agency, "flight": airline}
