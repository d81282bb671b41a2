"""Trips amid faults, on a real broker: `ecom chaos --of examples.trip.trial:TRIPS`."""

from typing import Any

from ecom import Running
from ecom_lab.chaos import Own
from examples.trip.invariants import ALWAYS, SETTLED
from examples.trip.saga import OUTSIDE, trip
from examples.trip.services import BookTrip, Rooms

WHO = ("ada", "no licence", "too late")


def to_rome(trips: int, **where: Any) -> Running:
    """The trip's services, running; in Rome there are rooms for one trip in four at a time."""
    rooms = {"hotel": [Rooms("Rome", trips // 4, trips // 4)]}
    return Running(trip(), rows=rooms, outside=OUTSIDE, invariants=(*ALWAYS, *SETTLED), **where)


def wishes(trips: int) -> list[tuple[str, BookTrip]]:
    """So many trips that somebody wants to make."""
    return [("trip", BookTrip(str(n), WHO[n % 3], "Rome")) for n in range(trips)]


TRIPS = Own("trips", to_rome, wishes)
