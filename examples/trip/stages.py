"""The stages in which a trip's services are graded, each in worlds a little worse than before."""

from dataclasses import replace

from ecom_lab.grading import Patient, Prompt, Stage
from examples.trip.worlds import GOES, NO_CAR, NO_SEAT, RACE

ALL = ("trip", "hotel", "car", "flight")
LOST = ("crash", "power", "line", "return", "store", "unknown", "handler")
ODD = ("duplicate", "disorder")
CALM, NO_CAR_THERE, FULL = (replace(world, faults=0) for world in (GOES, NO_CAR, NO_SEAT))
PAIR = replace(GOES, replicas={"car": 2}, kinds=("gone",))
STAGES = (
    Stage("calm", "Room, car and seat are there, and nothing goes wrong.", ALL, (CALM,), Patient),
    Stage("refused", "Agency or airline refuses.", ALL, (NO_CAR_THERE, FULL), Patient),
    Stage("expired", "The offer may end at any time.", ALL, (CALM, NO_CAR_THERE, FULL)),
    Stage("race", "Two want the last room.", ("trip", "hotel"), (RACE,), Prompt),
    Stage("crash", "A process, a line or a disk fails.", ALL, (replace(GOES, kinds=LOST),)),
    Stage("disorder", "A message comes twice, or too early.", ALL, (replace(GOES, kinds=ODD),)),
    Stage("replicas", "Two agents share the work; one may stay dead.", ("car",), (PAIR,)),
)
