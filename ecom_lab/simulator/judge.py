"""Judges states by the properties of their scenario."""

from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import Any, NamedTuple

from ecom_lab.simulator.model import Model, State
from ecom_lab.simulator.properties import View


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

    def problems(self, state: State, quiet: int) -> list[Problem]:
        """Every promise that this state violates; `quiet` is how much of it is."""
        if state[-1] and quiet < 2:
            quiet = 0  # it is in the sinks' hands: all else was judged before
        seen = quiet, self._looked_at[quiet](state)
        verdict = self._known.get(seen)
        if verdict is None:
            verdict = self._known[seen] = list(self._find(state, quiet))
        return verdict

    def _find(self, state: State, quiet: int) -> Iterator[Problem]:
        scenario, view = self._world.scenario, view_of(self._world, state)
        for each in scenario.properties:
            if each.when <= quiet:
                for text in each.check(view):
                    yield Problem(each.name, text, scenario.losses(view, quiet > 0))


def view_of(world: Model, state: State) -> View:
    """The state as the properties see it."""
    services = {name: world.local(state, who) for who, name in enumerate(world.names)}
    dead, strays = world.queues.values[state[world.dead]], world.scenario.strays
    return View(services, len(dead), len(strays), world.crowd(state))
