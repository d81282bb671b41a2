"""What must hold of every state: properties, what they see of it, and who judges it by them."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from operator import itemgetter
from typing import Any, NamedTuple

from ecom_lab.simulator.service_state import ServiceState

Model = Any  # that of `ecom_lab.simulator.model`, whose states are judged
ALWAYS, SETTLED = 0, 1  # in every state; once nothing is under way but in the sinks


class View(NamedTuple):
    """A state as the properties see it."""

    services: Mapping[str, ServiceState]
    dead: int  # dead letters in the broker's queues
    strays: int  # messages that nobody here published
    crowd: tuple[Any, ...]  # how far each client is

    def rows(self, service: str, kind: type) -> dict[Any, Any]:
        """The rows of one table, by key."""
        return self.services[service].tables.get(kind, {})

    def ledger(self, service: str) -> tuple[Any, ...]:
        """What the world outside of a service has booked."""
        return self.services[service].ledger


class Property(NamedTuple):
    """One promise. `check` yields each way in which a state violates it.

    `when` is `ALWAYS`, `SETTLED`, or more by one for each sink (a service that publishes nothing,
    in the contract's order) that has to have done all it has to do, too.
    """

    name: str
    sentence: str
    when: int
    check: Callable[[View], Iterator[str]]


def promises(when: int, *checks: Callable[[View], Iterator[str]]) -> list[Property]:
    """Properties that are called as these functions are, and say what their docstrings say."""
    return [
        Property(check.__name__.replace("_", "-"), inspect.getdoc(check) or "", when, check)
        for check in checks
    ]


def nothing_vanishes(view: View) -> Iterator[str]:
    """What cannot be read is a dead letter."""
    if view.dead < view.strays:
        yield "a message that nobody could read is gone, and is no dead letter either"


QUIET_IS_REACHED = (
    "quiet-is-reached",
    "From every state, if nothing more goes wrong, the saga becomes quiet.",
)
Losses = Callable[[View, bool], Mapping[str, float]]  # what is not where it belongs, by unit


# ── judging ───────────────────────────────────────────────────────────────────────────────────
class Problem(NamedTuple):
    """One promise that a state violates, how, and what is not where it belongs."""

    name: str
    text: str
    lost: Mapping[str, float]


class Judge:
    """Judges states. What a property looks at comes again and again, so verdicts are kept: of all
    that can be looked at, and for each property of the services that it has asked for."""

    def __init__(self, world: Model) -> None:
        self._world = world
        self._known: dict[Any, list[Problem]] = {}
        core, sinks = world.core, world.sinks
        # What is looked at when so much is quiet. (Two at least, as `itemgetter` gives a tuple.)
        self._looked_at = [
            itemgetter(*core, *sinks[: max(0, quiet - 1)], *((world.dead, -2) if quiet else core))
            for quiet in range(world.all_quiet + 1)
        ]

    def problems(self, state: tuple[int, ...], quiet: int) -> list[Problem]:
        """Every promise that this state violates; `quiet` is how much of it is."""
        if state[-1] and quiet < 2:
            quiet = 0  # it is in the sinks' hands: all else was judged before
        seen = quiet, self._looked_at[quiet](state)
        verdict = self._known.get(seen)
        if verdict is None:
            verdict = self._known[seen] = list(self._find(state, quiet))
        return verdict

    def _find(self, state: tuple[int, ...], quiet: int) -> Iterator[Problem]:
        scenario, view = self._world.scenario, view_of(self._world, state)
        for each in scenario.properties:
            if each.when <= quiet:
                for text in each.check(view):
                    lost = scenario.losses(view, quiet > 0) if scenario.losses else {}
                    yield Problem(each.name, text, lost)


def view_of(world: Model, state: tuple[int, ...]) -> View:
    """The state as the properties see it."""
    services = {name: world.local(state, who) for who, name in enumerate(world.names)}
    dead, strays = world.queues.values[state[world.dead]], world.scenario.strays
    return View(services, len(dead), len(strays), world.crowd(state))
