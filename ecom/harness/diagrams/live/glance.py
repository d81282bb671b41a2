"""One glance at running sagas: how they stand and what waits where, read from the databases."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from ecom.harness.diagrams import palette
from ecom.harness.diagrams.live.drawing import Bar, Board, as_image
from ecom.harness.lifecycle import hopeful
from ecom.harness.quiescence import Counted, Monitor

EVERY = 0.25  # seconds between two glances
WAITING = {  # what waits, by kind (see `Look.waiting`), and where
    "unhandled": "queue",
    "unsent": "outbox",
    "effects": "effects",
    "retries": "retries",
    "dead": "dead letters",
}
_COLOURS = {"retries": palette.RETRY, "dead": palette.FAILURE}


@dataclass(frozen=True, repr=False)
class Glance:
    """How sagas stood at one moment; shows itself in a notebook.

    `services` is, by service, the number of each kind of `WAITING`; dead letters are counted since
    the databases were made. `is_quiet` says whether all was done that can be done.
    """

    counted: Counted
    states: dict[str, int]
    services: dict[str, dict[str, int]]
    published: int  # events, since the databases were made
    awaited: tuple[str, ...]  # what was not done yet, a sentence each
    is_quiet: bool

    @property
    def total(self) -> int:
        """Sagas ever begun."""
        return sum(self.states.values())

    def waiting(self, kind: str) -> int:
        """How much of one kind waits in all services together."""
        return sum(counts[kind] for counts in self.services.values())

    @property
    def text(self) -> str:
        """In words: the same for the same sagas, however they raced, once all is quiet."""
        noun = self.counted.noun
        states = ", ".join(f"{n:,} {state}" for state, n in self.states.items() if n)
        found = f"{self.total:,} {noun}: {states}." if self.total else f"No {noun}."
        dead = self.waiting("dead")
        found += f" Dead letters: {dead:,}." if dead else ""
        if self.is_quiet:
            return f"{found} All is quiet."
        return "\n".join([f"{found} Not quiet yet:", *(f"  - {each}" for each in self.awaited)])

    def board(self, rates: Sequence[float] = ()) -> Board:
        """What is to be seen of it; `rates` are events a second before."""
        bars = [Bar(state, n, self._colour(state)) for state, n in self.states.items()]
        waiting = {
            service: [
                Bar(WAITING[kind], n, _COLOURS.get(kind, palette.SKY)) for kind, n in counts.items()
            ]
            for service, counts in self.services.items()
        }
        return Board(self.text, self.counted.noun.capitalize(), bars, waiting, rates)

    def _colour(self, state: str) -> str:
        if state not in hopeful(self.counted.lifecycle):
            return palette.FAILURE
        return palette.SUCCESS if state == self.counted.lifecycle.success else palette.GREY

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": as_image(self.board()), "text/plain": self.text}

    def __repr__(self) -> str:
        return self.text

    def quiet(self) -> "Glance":
        """The same, known to be quiet."""
        return replace(self, is_quiet=True, awaited=())


def rates(glances: Sequence[Glance]) -> list[float]:
    """Events a second between glances."""
    return [(after.published - before.published) / EVERY for before, after in pairwise(glances)]


def glance(monitor: Monitor) -> Glance:
    """How they stand now. A few indexed queries: about a millisecond."""
    look, states = monitor.look(), monitor.states()
    awaited = tuple(look.awaited())
    counted, published = monitor.counted, look.published()
    return Glance(counted, states, look.waiting(), published, awaited, not awaited)
