"""One glance at a shop: how its orders stand and what waits where, read from its databases."""

from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from ecom.harness.quiescence import Look, Watch
from ecom.sagas.choreography import choreography
from ecom.stores.reader import connect

STATES = ("PENDING", "CONFIRMED", "CANCELLED")
WAITING = {  # what waits, by kind: as `ecom status` counts it
    "unhandled": "queue",
    "unsent": "outbox",
    "effects": "effects",
    "retries": "retries",
    "dead": "dead letters",
}
_ORDERS = "SELECT state, count(*) FROM orders GROUP BY state"  # by an index


@dataclass(frozen=True, repr=False)
class Glance:
    """How a shop stood at one moment; shows itself in a notebook.

    `services` is, by service, the number of each kind of `WAITING`; dead letters are counted since
    the shop was first opened. `is_quiet` says whether all was done that can be done.
    """

    orders: dict[str, int]  # by state
    services: dict[str, dict[str, int]]
    said: int  # events, since the shop was first opened
    awaited: tuple[str, ...]  # what was not done yet, a sentence each
    is_quiet: bool

    @property
    def total(self) -> int:
        """Orders ever placed."""
        return sum(self.orders.values())

    def waiting(self, kind: str) -> int:
        """How much of one kind waits in all services together."""
        return sum(counts[kind] for counts in self.services.values())

    @property
    def text(self) -> str:
        """In words: the same for the same orders, however they raced, once all is quiet."""
        states = ", ".join(f"{n:,} {state}" for state, n in self.orders.items() if n)
        found = f"{self.total:,} orders: {states}." if self.total else "No orders."
        dead = self.waiting("dead")
        found += f" Dead letters: {dead:,}." if dead else ""
        if self.is_quiet:
            return f"{found} All is quiet."
        return "\n".join([f"{found} Not quiet yet:", *(f"  - {each}" for each in self.awaited)])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        from ecom.harness.diagrams.live.drawing import as_image

        return {"text/html": as_image([self]), "text/plain": self.text}

    def __repr__(self) -> str:
        return self.text

    def quiet(self) -> "Glance":
        """The same, known to be quiet."""
        return replace(self, is_quiet=True, awaited=())


class Onlooker:
    """Glances at the shop in `folder`, again and again, over open connections that only read."""

    def __init__(self, folder: Path) -> None:
        self._watch = Watch(choreography().contract, folder)
        self._orders = connect(folder, "order")

    def glance(self) -> Glance:
        """How the shop stands now. A few indexed queries: about a millisecond."""
        look = self._watch.look()
        orders = dict.fromkeys(STATES, 0) | dict(self._orders.execute(_ORDERS).fetchall())
        said = sum(n for counts in look.counters.values() for name, n in counts.items()
                   if name.startswith("emitted:"))  # fmt: skip
        services = {service: _waiting(service, look) for service in look.contract.services}
        awaited = tuple(look.awaited())
        return Glance(orders, services, said, awaited, not awaited)

    def __enter__(self) -> "Onlooker":
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._orders.close()
        self._watch.close()


def glance(folder: Path) -> Glance:
    """How the shop in `folder` stands now; it need not be open."""
    with Onlooker(folder) as onlooker:
        return onlooker.glance()


def _waiting(service: str, look: Look) -> dict[str, int]:
    unhandled = sum(gap for (who, _), gap in look.unhandled().items() if who == service)
    return {
        "unhandled": max(0, unhandled),
        "unsent": look.backlog[service]["unsent"],
        "effects": look.backlog[service]["effects"],
        "retries": look.backlog[service]["retries"],
        "dead": look.counters[service].get("dead", 0),
    }
