"""Judges states by the properties of their scenario."""

from collections import UserDict
from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import Any, NamedTuple

from ecom_lab.simulator.model import Model, State
from ecom_lab.simulator.properties import Property, View
from ecom_lab.simulator.service_state import ServiceState


class Problem(NamedTuple):
    """One promise that a state violates, how, and what is not where it belongs."""

    name: str
    text: str
    lost: Mapping[str, float]


class Read(UserDict[str, ServiceState]):
    """The services of a view, which notes of whom it was asked."""

    def __init__(self, services: Mapping[str, ServiceState]) -> None:
        super().__init__(services)
        self.names = set[str]()

    def __getitem__(self, name: str) -> ServiceState:
        self.names.add(name)
        return super().__getitem__(name)


class Verdicts:
    """What a property has said of states, by all in which it has ever looked: these `places`."""

    def __init__(self, places: set[int]) -> None:
        self.places, self.look = places, itemgetter(*places)
        self.texts: dict[Any, list[str]] = {}


class Judge:
    """Judges states. What a property looks at comes again and again, so verdicts are kept: of all
    that can be looked at, and for each property of the services that it has asked for."""

    def __init__(self, world: Model) -> None:
        self._world = world
        self._known: dict[Any, list[Problem]] = {}
        self._verdicts: dict[Any, Verdicts] = {}  # by property
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
        scenario = self._world.scenario
        for each in scenario.properties:
            if each.when <= quiet:
                for text in self._found(each, state):
                    losses = scenario.losses(view_of(self._world, state), quiet > 0)
                    yield Problem(each.name, text, losses)

    def _found(self, each: Property, state: State) -> list[str]:
        """What this property says of the state, found out once for all that look alike to it."""
        world = self._world
        known = self._verdicts.get(each.check)
        if known is None:
            known = self._verdicts[each.check] = Verdicts(
                {-1, -2, world.dead} if each.when else {-1}
            )
        texts = known.texts.get(known.look(state))
        if texts is None:
            view = view_of(world, state)
            read = Read(view.services)
            texts = list(each.check(view._replace(services=read)))
            places = known.places.union(map(world.names.index, read.names))
            if places != known.places:  # it has looked at more than ever before
                known = self._verdicts[each.check] = Verdicts(places)
            known.texts[known.look(state)] = texts
        return texts


def view_of(world: Model, state: State) -> View:
    """The state as the properties see it."""
    services = {name: world.local(state, who) for who, name in enumerate(world.names)}
    dead, strays = world.queues.values[state[world.dead]], world.scenario.strays
    return View(services, len(dead), len(strays), world.crowd(state))
