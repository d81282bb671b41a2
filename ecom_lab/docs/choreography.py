"""The choreography: who publishes and who consumes each event; read from a saga's contract.

Drawn with a lane for each service and a line for each event: so no two words can meet, however many
there are, and nothing has to be laid out. Lengths are inches.
"""

import re
from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from msgspec import Struct

from ecom.contract.contract import Event
from ecom.harness.diagrams import palette
from ecom.harness.diagrams.picture import MARGIN, SMALL, Picture, paper, width_of_text, write
from ecom.runtime.saga import Saga

UNDO = "↶"  # before what is published only when something failed, or is undone
KEY = f"""\
blue: on the way to success · {UNDO} orange: something failed, and is undone
italic: what else a service handles"""

HEAD, ROW, FOOT = 1.0, 0.29, 0.4
NOTE = 0.14  # a line of what else a service handles
BOX = {"boxstyle": "round,pad=0.35", "fc": palette.CREAM, "ec": palette.INK, "lw": 0.9}


class Choreography(Picture):
    """The services of a saga, and the events between them."""

    title = "Who publishes what, and who listens"

    def __init__(self, saga: Saga) -> None:
        self._saga, self._contract = saga, saga.contract
        self._loggers = [it for it in saga.contract.services if saga.contract.consumes_all(it)]

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
        """A line for each service that consumes every event."""
        unconsumed = [key for key in self._contract.by_key if not self._contract.listeners(key)]
        alone = f", and it alone to {', '.join(unconsumed)}" if unconsumed else ""
        return [f"{name} listens to everything{alone}" for name in self._loggers]

    def figure(self) -> Figure:
        lanes = {
            name: self._others(name)
            for name in self._contract.services
            if name not in self._loggers or self._contract.published_by(name)
        }
        events = self._contract.by_key.values()
        left = 2 * MARGIN + max(width_of_text(_label(event)) for event in events)
        apart = 0.3 + max(width_of_text(name, weight="bold") for name in lanes)
        top = HEAD + NOTE * max(map(len, lanes.values()))
        bottom = top + ROW * len(events)
        places = {name: left + apart * (i + 0.5) for i, name in enumerate(lanes)}
        width = left + apart * len(lanes) + MARGIN
        with paper(self.title, width, bottom + FOOT, KEY) as axes:
            for name, notes in lanes.items():
                _lane(axes, places[name], name, notes, bottom)
            for i, event in enumerate(events):
                middle = top + ROW * (i + 0.5)
                if i % 2 == 0:
                    axes.axhspan(middle - ROW / 2, middle + ROW / 2, color=palette.PALE, zorder=0)
                self._line(axes, event, middle, places)
            write(axes, MARGIN, bottom + FOOT / 2, "\n".join(self._notes()), ha="left")
        return axes.figure

    def _others(self, name: str) -> list[str]:
        """What else a service handles: commands, results, deadlines, in words."""
        kinds = self._saga.services[name].handlers
        return [in_words(kind) for kind in kinds if not issubclass(kind, Event)]

    def _line(self, axes: Axes, event: type[Event], y: float, places: Mapping[str, float]) -> None:
        x, colour = places[event.producer], palette.FAILURE if event.failure else palette.SUCCESS
        write(axes, MARGIN, y, _label(event), ha="left", color=colour)
        axes.plot([x], [y], "o", ms=6, color=colour, zorder=5)
        for target in self._contract.listeners(event.key):
            way = {"arrowstyle": "-|>", "color": colour, "lw": 1.4, "shrinkA": 0, "shrinkB": 0}
            axes.annotate("", xy=(places[target], y), xytext=(x, y), arrowprops=way)


def in_words(message: type[Struct]) -> str:
    """A message as people call it: an event by its key, `HoldDeadline` as `hold deadline`."""
    if issubclass(message, Event):
        return message.key
    return " ".join(re.findall("[A-Z][a-z]*", message.__name__)).lower()


def _label(event: type[Event]) -> str:
    return f"{UNDO} {event.key}" if event.failure else event.key


def _lane(axes: Axes, x: float, name: str, notes: list[str], bottom: float) -> None:
    write(axes, x, HEAD - 0.2, name, weight="bold", bbox=BOX)
    for i, note in enumerate(notes):
        write(axes, x, HEAD + NOTE * i, note, style="italic", size=SMALL)
    axes.plot([x, x], [HEAD - NOTE / 2 + NOTE * len(notes), bottom], color=palette.LINE, lw=0.9)
