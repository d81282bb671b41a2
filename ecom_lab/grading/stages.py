"""The stages in which a service is graded, each a few small worlds, worse than those before."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from ecom.runtime.tables import Effect
from ecom.sandbox.cards import DECLINED_CARD
from ecom_lab.simulator.ablations.handling import ForgetsAtOnce
from ecom_lab.simulator.model import Model, Move, State
from ecom_lab.simulator.properties import ALWAYS, View, promises
from ecom_lab.simulator.scenario import Scenario
from ecom_lab.simulator.shop.ablations import CALM, RACE, TWO_LINES, one
from ecom_lab.simulator.shop.properties import LOGGED
from ecom_lab.simulator.shop.scenario import Wish, shop

ALL = ("order", "inventory", "payment", "notification", "audit")
CRASHES = ("crash", "power", "line", "return", "store", "unknown", "handler")


class Prompt(Model):
    """A world in which whoever is asked outside answers before anything else happens."""

    def moves(self, state: State, budget: int) -> list[Move]:
        found = super().moves(state, budget)
        return [move for move in found if move.what[1][0][0] == "answer"] or found


class Patient(Prompt):
    """Such a world, in which no hold runs out, either."""

    def _of(self, state: State, who: int, budget: int) -> list[Move]:
        return [it for it in super()._of(state, who, budget) if it.what[1][0][0] != "timer"]


class Stage(NamedTuple):
    """What may happen, the services for which that is of interest, and worlds in which it does."""

    name: str
    story: str
    services: tuple[str, ...]
    worlds: tuple[Scenario, ...]
    model: type[Model] = Model


def keys_unique(view: View) -> Iterator[str]:
    """An idempotency key is never used for another order, not even for one of the same number, as
    another shop has, or this one after its database was restored from a copy."""
    for service in view.services:
        for row in view.rows(service, Effect).values():
            if row.correlation not in row.key:
                yield f"{row.type} of order {row.subject} has the key {row.key!r}"


GOOD, DECLINED = shop(faults=0), shop((Wish(card=DECLINED_CARD),), faults=0)
UNSURE = replace(CALM, properties=(*CALM.properties, *promises(ALWAYS, keys_unique)))
LATE, FAILING = ([one(kind, world=UNSURE) for kind in it] for it in (("late", "fails"), CRASHES))
AGAIN = [one(kind, world=UNSURE) for kind in ("duplicate", "disorder")]
# An inbox remembers for some days, and here for no time at all. To say a thing twice does no harm
# then, so the log is not asked.
UNLOGGED = tuple(it for it in UNSURE.properties if it.when < LOGGED)
FORGETFUL = replace(AGAIN[0], runtime=ForgetsAtOnce, properties=UNLOGGED)
PAIRS = (replace(one("gone", world=UNSURE), replicas={name: 2}) for name in ALL)

CANCELS = "The customer may cancel, and the hold run out, at any time."
FAILS = "A process, the power, a connection or the database fails, anywhere."
ASKING = ("payment", "notification")
STAGES = (
    Stage("calm", "A good card, and nothing goes wrong.", ALL, (GOOD,), Patient),
    Stage("declined", "The card is declined.", ("order", *ASKING), (DECLINED,), Patient),
    Stage("cancelled", CANCELS, ALL, (CALM,), Prompt),
    Stage("race", "Two want the last teapot.", ("order", "inventory"), (RACE, TWO_LINES)),
    Stage("late", "Answers come late, or never.", ASKING, tuple(LATE)),
    Stage("crash", FAILS, ALL, tuple(FAILING)),
    Stage("duplicates", "A message comes twice, or too early.", ALL, (*AGAIN, FORGETFUL)),
    Stage("replicas", "Two processes share the work; one may stay dead.", ALL, tuple(PAIRS)),
)
BY_NAME = {stage.name: stage for stage in STAGES}
