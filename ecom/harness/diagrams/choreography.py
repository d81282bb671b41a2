"""The choreography: who publishes and who consumes each event; read from a saga's contract."""

from typing import TYPE_CHECKING

from ecom.contract.event import Event
from ecom.harness.diagrams import palette
from ecom.harness.diagrams.picture import Picture, in_words
from ecom.runtime.saga import Saga

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNDO = "↶"  # before what is published only when something failed, or is undone
KEY = f"""\
blue: on the way to success · {UNDO} orange: something failed, and is undone
italic: what else a service handles"""


class Choreography(Picture):
    """The services of a saga, and the events between them."""

    title = "Who publishes what, and who listens"

    def __init__(self, saga: Saga) -> None:
        self._saga = saga
        self._contract = saga.contract

    @property
    def loggers(self) -> list[str]:
        """The services that consume every event."""
        return [name for name in self._contract.services if self._contract.hears_all(name)]

    @property
    def unheard(self) -> list[str]:
        """The events that no other service consumes."""
        return [key for key in self._contract.by_key if not self._contract.listeners(key)]

    def others(self, name: str) -> list[str]:
        """What else a service handles: commands, results, deadlines, in words."""
        kinds = self._saga.services[name].handlers
        return [in_words(kind) for kind in kinds if not issubclass(kind, Event)]

    @property
    def text(self) -> str:
        """A line for each event: who publishes it, who consumes it."""
        lines = []
        for key, event in self._contract.by_key.items():
            mark = UNDO if event.failure else " "
            listeners = ", ".join(self._contract.listeners(key)) or "·"
            lines.append(f"{mark} {key:<20} {event.producer:>12} → {listeners}")
        return "\n".join([self.title, *lines, *self._notes()])

    def _notes(self) -> list[str]:
        alone = f", and it alone to {', '.join(self.unheard)}" if self.unheard else ""
        return [f"{name} listens to everything{alone}" for name in self.loggers]

    def figure(self) -> "Figure":
        """A new matplotlib figure of it."""
        from ecom.harness.diagrams.lanes import Line, draw

        lanes = {
            name: self.others(name)
            for name in self._contract.services
            if name not in self.loggers or self._contract.published_by(name)
        }
        lines = [
            Line(
                f"{UNDO} {key}" if event.failure else key,
                event.producer,
                self._contract.listeners(key),
                palette.FAILURE if event.failure else palette.SUCCESS,
            )
            for key, event in self._contract.by_key.items()
        ]
        return draw(self.title, KEY, lanes, lines, "\n".join(self._notes()))
