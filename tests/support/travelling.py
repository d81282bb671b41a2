"""Books many trips at once on a real broker, while the processes of all services are killed.

`python tests/support/travelling.py 2000 100` does so with that many trips and kills, and says
whether the books balance; `postgres` after the numbers has it kept there, and not in files.
"""

import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

from ecom import Running
from ecom.errors import ServiceDown
from examples.trip.invariants import ALWAYS, SETTLED
from examples.trip.saga import OUTSIDE, trip
from examples.trip.services import BookTrip, Rooms

PATIENCE = 600.0  # seconds
WHO = ("ada", "no licence", "too late")
ENDS = {"", "no room", "no licence", "no seat"}
PROCESSES = [(name, "1") for name in ("trip", "hotel")] + [
    (name, n) for name in ("car", "flight") for n in "12"
]


def trips_to_rome(rooms, **more):
    """The trip's services, running, with so many rooms in Rome."""
    rows, laws = {"hotel": [Rooms("Rome", rooms, rooms)]}, (*ALWAYS, *SETTLED)
    return Running(trip(), rows=rows, outside=OUTSIDE, invariants=laws, **more)


def travel(trips, number, kills):
    """Book so many trips, nine at a time; kill and start a process after every few of them."""
    for service in ("car", "flight"):
        trips.start(service, "2")
    with ThreadPoolExecutor(9) as pool:
        killing = pool.submit(_kill_some, trips, number, kills)
        list(pool.map(lambda which: _book(trips, which), range(number)))
        killing.result()


def _book(trips, which):
    """A trip asked for until somebody answers: its id is the traveller's."""

    def is_booked():
        with suppress(ServiceDown):
            return trips.command("trip", BookTrip(str(which), WHO[which % 3], "Rome"))

    trips.wait_until(is_booked, PATIENCE)


def _kill_some(trips, number, kills):
    processes = random.Random(7).choices(PROCESSES, k=kills)
    for done, (service, replica) in enumerate(processes, 1):
        trips.wait_until(partial(_asked, trips, number * done // (kills + 1)), PATIENCE)
        trips.kill(service, replica)
        trips.start(service, replica)


def _asked(trips, number):
    return len(trips.table("trip", "trips")) >= number


if __name__ == "__main__":
    number, kills, database = int(sys.argv[1]), int(sys.argv[2]), (sys.argv[3:] or ["files"])[0]
    begun = time.monotonic()
    with trips_to_rome(number // 4, database=database) as trips:
        travel(trips, number, kills)
        trips.settle(PATIENCE)
        ended = trips.table("trip", "trips").groupby(["state", "reason"]).size()
        print(trips.books(), f"Dead letters: {len(trips.dead.list())}.", ended, sep="\n")
        print(f"{number} trips, {kills} kills, {time.monotonic() - begun:.0f} s")
        if not trips.books().balanced:
            sys.exit(1)
