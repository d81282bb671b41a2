"""Judges states by the invariants, and counts what was lost."""

from collections.abc import Iterator
from typing import NamedTuple

from ecom.services.order import Order
from ecom_lab.simulator.invariants import INVARIANTS
from ecom_lab.simulator.model import CORE, CUSTOMERS, DEAD, PHASE, State, World
from ecom_lab.simulator.view import View, view_of


class Problem(NamedTuple):
    """One promise that a state breaks, how, and what is not where it belongs."""

    invariant: str
    text: str
    pounds: float = 0.0
    units: int = 0


class Judge:
    """Judges states. What an invariant looks at comes again and again, so verdicts are kept."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._known: dict[tuple[int, ...], list[Problem]] = {}

    def problems(self, state: State, quiet: int) -> list[Problem]:
        """Every promise that this state breaks; `quiet` is how much of it is."""
        if "sinks last" in self._world.reductions and quiet < 2 and state[PHASE] != CORE:
            quiet = 0
        looked_at = state[: (3, 3, 4, 5)[quiet]]
        seen = (*looked_at, *state[DEAD : CUSTOMERS + 1], quiet) if quiet else looked_at
        verdict = self._known.get(seen)
        if verdict is None:
            verdict = self._known[seen] = list(self._find(state, quiet))
        return verdict

    def _find(self, state: State, quiet: int) -> Iterator[Problem]:
        view = view_of(self._world, state)
        for invariant in INVARIANTS:
            if invariant.when <= quiet:
                for problem in invariant.check(view):
                    yield Problem(invariant.name, problem, *_lost(view, quiet))


def _lost(view: View, quiet: int) -> tuple[float, int]:
    """Pounds and units that are not where they belong."""
    orders, pence, units = view.orders(), 0, 0
    for id_, order in orders.items():
        confirmed = order.state == "CONFIRMED"
        if quiet or view.kept(id_) not in range(order.total + 1):
            pence += abs(view.kept(id_) - (order.total if confirmed else 0))
    for it in view.stock().values():
        units += max(0, -it.available, -it.held, -it.committed)
        units = max(units, abs(it.initial - it.available - it.held - it.committed))
    if quiet:
        units = max(units, sum(1 for id_, order in orders.items() if _astray(view, id_, order)))
    return pence / 100, units


def _astray(view: View, id_: str, order: Order) -> bool:
    has = view.reserved(id_) in ("HELD", "COMMITTED")
    return has != (order.state == "CONFIRMED")
