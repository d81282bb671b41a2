"""Trips with one safeguard less: each a handler that looks right, and the world that shows why not.

The docstring of each says what is wrong with it.
"""

from msgspec.structs import replace

from ecom import Work
from ecom_lab.simulator import Ablation, Sandbox, answering, performing
from examples.trip import events, services, worlds
from examples.trip.saga import agency
from examples.trip.services import Car, OfferEnds, Rooms, Stay, Trip, Yes


def ignore(message: object, work: Work) -> None:
    """Nothing is done about it."""


def take_blindly(car: events.CarBooked, work: Work) -> None:
    """The room is taken without a look whether the offer still stands."""
    work[Stay].put(replace(work[Stay][car.trip_id], state="TAKEN"))
    work.emit(events.RoomTaken(car.trip_id, car.traveller))


def expire_blindly(timer: OfferEnds, work: Work) -> None:
    """The offer expires without a look whether it was taken."""
    services.vacate(timer, work)
    work.emit(events.RoomLost(timer.trip_id, "the offer has expired"))


def vacate_blindly(trip: events.TripCancelled | OfferEnds, work: Work) -> None:
    """A room is given back without a look whether it was before."""
    if stay := work[Stay].get(trip.trip_id):
        rooms = work[Rooms][stay.city]
        work[Rooms].put(replace(rooms, free=rooms.free + 1))
        work[Stay].put(replace(stay, state="LOST"))


def hold_blindly(trip: events.TripRequested, work: Work) -> None:
    """A room is held without a look whether one is free."""
    rooms = work[Rooms][trip.city]
    work[Rooms].put(replace(rooms, free=rooms.free - 1))
    work[Stay].put(Stay(trip.trip_id, trip.city))
    work.emit(events.RoomHeld(trip.trip_id, trip.traveller))


def cancel_silently(setback: events.Setback, work: Work) -> None:
    """The trip is cancelled, and nobody is told."""
    work[Trip].put(Trip(setback.trip_id, "CANCELLED", setback.reason))


def no_tombstone(trip: events.TripCancelled, work: Work) -> None:
    """What is cancelled before it was begun is begun all the same."""
    if work[Car].get(trip.trip_id):
        services.bring_back(trip, work)


def bring_back_what_is_booked(trip: events.TripCancelled, work: Work) -> None:
    """A car that was asked for and is not there yet needs no undoing, does it?"""
    car = work[Car].get(trip.trip_id)
    if car is None or car.state == "BOOKED":
        services.bring_back(trip, work)


def hired_whatever(yes: Yes, work: Work) -> None:
    """A car that comes after the trip was cancelled stays."""
    if yes.fee or work[Car][yes.trip_id].state == "ASKED":
        services.hired(yes, work)


def forget_the_fee(yes: Yes, work: Work) -> None:
    """What it costs to undo is nobody's business."""
    services.hired(yes, work)
    work[Car].put(replace(work[Car][yes.trip_id], fee=0))


class Forgetful(Sandbox):
    """The agency does what it is asked for as often as it is asked: it knows no keys."""

    def perform(self, ledger, seq, key, effect):  # noqa: ANN001, ANN201
        return super().perform(ledger, seq, f"{key}#{len(ledger)}", effect)


_TOO_EARLY = {events.CarBooked: services.fly, events.RoomTaken: ignore}
_HOTEL, _CAR, _TRIP = "hotel", "car", "trip"

ALL = (
    Ablation(
        "pivot-last",
        "The ticket is bought while the room may still be lost.",
        answering("flight", _TOO_EARLY),
        worlds.GOES,
    ),
    *(
        Ablation(name, handler.__doc__ or "", answering(service, {kind: handler}), world)
        for name, service, kind, handler, world in (
            ("take-looks", _HOTEL, events.CarBooked, take_blindly, worlds.GOES),
            ("expiry-looks", _HOTEL, OfferEnds, expire_blindly, worlds.GOES),
            ("vacate-looks", _HOTEL, events.TripCancelled, vacate_blindly, worlds.GOES),
            ("hold-looks", _HOTEL, events.TripRequested, hold_blindly, worlds.RACE),
            ("cancel-tells", _TRIP, events.RoomLost, cancel_silently, worlds.GOES),
            ("tombstone", _CAR, events.TripCancelled, no_tombstone, worlds.GOES),
            (
                "undo-what-is-asked",
                _CAR,
                events.TripCancelled,
                bring_back_what_is_booked,
                worlds.GOES,
            ),
            ("late-answer-undone", _CAR, Yes, hired_whatever, worlds.GOES),
            ("car-comes-back", _CAR, events.TripCancelled, ignore, worlds.NO_SEAT),
            ("price-is-kept", _CAR, Yes, forget_the_fee, worlds.NO_SEAT),
        )
    ),
    Ablation(
        "key", Forgetful.__doc__ or "", performing("car", Forgetful("car", agency)), worlds.GOES
    ),
)
