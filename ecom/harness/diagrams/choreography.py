"""The choreography: who says what, and who listens; read from the contract and the handlers.

Nothing here names a service or an event. A node is a service, an arrow is an event from the one
that says it to one that listens to it and has a handler for it.
"""

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from ecom.contract.contract import Contract
from ecom.contract.event import Event
from ecom.harness.diagrams.picture import Picture
from ecom.runtime.service import Service
from ecom.sagas.choreography import choreography
from ecom_lab.docs.seen import in_words, look

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNDO = "↶"  # before what is only said when an order fails or is undone


class Arrow(NamedTuple):
    """One event on its way to one listener."""

    key: str
    producer: str
    listener: str
    handled: bool  # whether the listener has a handler for it
    forward: bool  # whether it is said of orders that succeed

    @property
    def words(self) -> str:
        """The event, marked if it is on the way back, or falls on deaf ears."""
        deaf = "" if self.handled else " (no handler)"
        return f"{'' if self.forward else UNDO + ' '}{self.key}{deaf}"


class Choreography(Picture):
    """The services, and the events between them.

    `contract` and `services` are the real ones unless given; `forward` are the events of the way to
    success (found by running the handlers).
    """

    title = "Who says what, and who listens"

    def __init__(
        self,
        contract: Contract | None = None,
        services: Iterable[Service] | None = None,
        forward: Iterable[str] | None = None,
    ) -> None:
        saga = choreography()
        self._contract = contract or saga.contract
        found = services or saga.services.values()
        self.services = {service.name: service for service in found}
        self.forward = frozenset(look().forward if forward is None else forward)
        self._events = self._contract.by_key

    @cached_property
    def arrows(self) -> list[Arrow]:
        """Every event to each of its listeners, in the order of the contract."""
        return [
            Arrow(key, event.producer, listener, event in self.services[listener].handlers,
                  key in self.forward)
            for key, event in self._events.items()
            for listener in self._contract.listeners(key)
        ]  # fmt: skip

    @cached_property
    def unheard(self) -> list[str]:
        """The events that nobody listens to but who hears everything."""
        return [key for key in self._events if not self._contract.listeners(key)]

    @cached_property
    def all_ears(self) -> list[str]:
        """The services that hear everything and say nothing."""
        talking = {event.producer for event in self._events.values()}
        all_kinds = set(self._events.values())
        return [name for name, service in self.services.items()
                if name not in talking and all_kinds <= {*service.handlers}]  # fmt: skip

    def others(self, name: str) -> list[str]:
        """What else a service handles: commands, answers, deadlines, in words."""
        kinds = self.services[name].handlers
        return [in_words(kind.__name__) for kind in kinds if not issubclass(kind, Event)]

    @property
    def text(self) -> str:
        """A line for each event: who says it, who listens."""
        lines = []
        for key, event in self._events.items():
            ears = [each.listener + ("" if each.handled else " (no handler)")
                    for each in self.arrows if each.key == key]  # fmt: skip
            mark = " " if key in self.forward else UNDO
            lines.append(f"{mark} {key:<20} {event.producer:>12} → {', '.join(ears) or '·'}")
        ears = [f"{name} hears everything" for name in self.all_ears]
        return "\n".join([self.title, *lines, *ears])

    def figure(self) -> "Figure":
        """A new matplotlib figure of it."""
        from ecom.harness.diagrams.choreography_drawing import draw

        return draw(self)
