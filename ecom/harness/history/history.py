"""The history of one order: all that happened to it, in causal order, and what is still awaited.

A step comes after everything it follows from: after its cause, and after what the same service did
about the order before (Lamport, "Time, Clocks, and the Ordering of Events", 1978). Steps that do
not depend on each other come in the order of the contract, however they raced.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from ecom.contract.envelope import derived_id
from ecom.errors import ShopError
from ecom.harness.history.attempts import Traces, traces_of
from ecom.harness.history.diagram import Diagram
from ecom.harness.history.journal import ACTORS, Logged, read_log
from ecom.harness.history.narrative import (
    awaited,
    burial,
    buried,
    effect_steps,
    handled_steps,
    timer_step,
)
from ecom.harness.history.rebuild import Handling
from ecom.harness.history.replay import CannotReplay
from ecom.harness.history.step import Step
from ecom.harness.history.timetravel import TABLES, handlings
from ecom.sagas.choreography import choreography
from ecom.services.notification import MailSent
from ecom.stores.reader import Reader

_PATIENCE = 5  # deadlines and customers come after what could be done meanwhile: so many steps
_CONTRACT = choreography().contract
_FAILURES = {key for key, event in _CONTRACT.by_key.items() if event.failure}
_PLACE = {key: place for place, key in enumerate(_CONTRACT.by_key)}


class History:
    """One order's history; shows itself as a sequence diagram, and in words where there is none."""

    def __init__(self, title: str, steps: list[Step]) -> None:
        self.steps = steps
        self.diagram = Diagram(title, steps, _FAILURES)

    @property
    def frame(self) -> pd.DataFrame:
        """what, source, target, about, status, detail: a row a step, causes before effects."""
        columns = ("what", "source", "target", "about", "detail", "status")
        found = [(s.kind, s.source, s.target, s.label, s.note, s.status) for s in self.steps]
        return pd.DataFrame(found, columns=list(columns), dtype="str")

    @property
    def awaited(self) -> list[str]:
        """What has not happened yet, a line each; empty when the saga has come to its end."""
        return [" ".join(str(step).split()) for step in self.steps if step.status == "awaited"]

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, str], dict[str, Any]]:
        return self.diagram._repr_mimebundle_(**kwargs)

    def __repr__(self) -> str:
        return self.diagram.text


def history(folder: Path, order_id: str) -> History:
    """The history of an order of the shop in `folder`. Raises `ShopError` if there is none.

    If the log cannot be replayed, the history goes without the changes of state, and says so.
    """
    with Reader(folder) as read:
        order = read["order"].fetch(TABLES["order", "orders"], order_id)
    if order is None:
        raise ShopError(f"There is no order {order_id!r}.")
    title = f"Order {order_id}: " + ", ".join(filter(None, (order.state, order.reason)))
    try:
        handled = handlings(folder, order_id)
    except CannotReplay as trouble:
        handled, title = [], f"{title}. Without its changes of state. {trouble}"
    log = {each.entry.id: each for each in read_log(folder) if each.entry.order_id == order_id}
    return History(title, list(_Account(log, handled, traces_of(folder, order_id)).steps()))


class _Account:
    """Puts together what the log, the handlers and the services' tables say of one order."""

    def __init__(self, log: dict[str, Logged], handled: list[Handling], traces: Traces) -> None:
        self._log, self._handled, self._traces = log, handled, traces
        self._asked = {derived_id(effect.id, kind): i
                       for i, each in enumerate(handled) for effect in each.asked
                       for kind in ("Captured", "Declined", "Refunded", "MailSent")}  # fmt: skip
        self._said = {id_: i for i, each in enumerate(handled) for id_ in each.said}
        self._depths = self._find_depths()

    def steps(self) -> Iterator[Step]:
        """All steps, in order."""
        placed = [(self._place(each, depth), self._of_handling(each))
                  for each, depth in zip(self._handled, self._depths, strict=True)]  # fmt: skip
        done = {(each.service, each.cause) for each in self._handled}
        for logged in self._log.values():
            type_ = logged.entry.type
            for service in _CONTRACT.listeners(type_):
                if (service, logged.entry.id) not in done:
                    place = (self._depth_of(logged) + 1, _PLACE[type_], ACTORS.index(service))
                    placed.append((place, self._of_unhandled(logged, service)))
        for _, steps in sorted(placed, key=lambda pair: pair[0]):
            yield from steps
        yield from self._loose_ends()

    # ── where a step belongs ──────────────────────────────────────────────────────────────────
    def _find_depths(self) -> list[int]:
        """How many steps, at least, went before each handling."""
        depths = [0] * len(self._handled)
        for _ in depths:  # settles in as many rounds as the longest chain has links
            before: dict[str, int] = {}
            for i, each in enumerate(self._handled):
                led_by = self._said.get(each.cause, self._asked.get(each.cause))
                causes = [before.get(each.service, 0), 0 if led_by is None else depths[led_by]]
                from_outside = led_by is None and each.cause not in self._log
                wait = _PATIENCE if from_outside else 1
                depths[i] = max(causes) + wait
                if not isinstance(each.message, MailSent):  # that a mail has gone orders nothing
                    before[each.service] = depths[i]
        return depths

    def _place(self, each: Handling, depth: int) -> tuple[int, int, int]:
        logged = self._log.get(each.cause)
        return depth, _PLACE[logged.entry.type] if logged else -1, ACTORS.index(each.service)

    def _depth_of(self, logged: Logged) -> int:
        """How deep an event lies: as deep as what said it."""
        if logged.entry.id in self._said:
            return self._depths[self._said[logged.entry.id]]
        cause = self._log.get(logged.entry.causation)
        return self._depth_of(cause) + 1 if cause else 0

    # ── what is told of it ────────────────────────────────────────────────────────────────────
    def _of_handling(self, each: Handling) -> list[Step]:
        logged, service = self._log.get(each.cause), each.service
        tries = self._traces.inbox.get((service, each.cause))
        steps = handled_steps(each, logged, tries)
        steps[1:1] = [burial(dead, "replayed") for dead in self._traces.dead
                      if (dead.service, dead.id) == (service, each.cause)]  # fmt: skip
        for effect in each.asked:
            steps += effect_steps(service, effect, self._traces.effects.get(effect.id))
        unheard = (id_ for id_ in each.said if not _CONTRACT.listeners(each.said[id_].key))
        return steps + [Step("event", service, service, each.said[id_].key) for id_ in unheard]

    def _of_unhandled(self, logged: Logged, service: str) -> list[Step]:
        tries = self._traces.inbox.get((service, logged.entry.id))
        if tries is None:
            return [awaited(logged.entry.type, logged.entry.producer, service)]
        return buried(logged, service, tries)

    def _loose_ends(self) -> Iterator[Step]:
        """Dead letters of nothing known, events on their way to the log, timers that still run."""
        known = {each.cause for each in self._handled} | {*self._log, *self._traces.effects}
        for dead in self._traces.dead:
            if dead.id not in known:
                yield burial(dead)
        for service, id_, type_, sent in self._traces.said:
            if id_ not in self._log:
                where = "not in the log yet" if sent else "not with the broker yet"
                for listener in _CONTRACT.listeners(type_) or (service,):
                    yield Step("event", service, listener, type_, where, "awaited")
        for service, type_ in self._traces.timers:
            yield timer_step(service, type_)
