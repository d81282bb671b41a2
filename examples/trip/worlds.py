"""Small worlds of trips, for the explorer: who wants to go, and how many rooms there are."""

from typing import Any

from ecom_lab.simulator import ALWAYS, SETTLED, Client, Sandbox, Scenario, promises
from examples.trip import invariants
from examples.trip.saga import OUTSIDE, trip
from examples.trip.services import BookTrip, Rooms


def world(*travellers: str, rooms: int = 1, **more: Any) -> Scenario:
    """These travellers want to go to Rome, where there are so many rooms."""
    wishes = [BookTrip(f"trip-{n}", who, "Rome") for n, who in enumerate(travellers)]
    return Scenario(
        saga=trip(),
        clients=tuple(Client(f"traveller-{n}", (wish,)) for n, wish in enumerate(wishes)),
        rows={"hotel": (Rooms("Rome", rooms, rooms),)},
        outside={service: Sandbox(service, answers) for service, answers in OUTSIDE.items()},
        properties=(
            *promises(ALWAYS, *invariants.ALWAYS),
            *promises(SETTLED, *invariants.SETTLED),
        ),
        **more,
    )


GOES = world("ada")
NO_CAR = world("no licence")
NO_SEAT = world("too late")
RACE = world("ada", "bob", faults=0)  # for the last room
