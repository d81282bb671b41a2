"""When each order was accepted and when it ended, as audit heard of it: a strip for every order."""

from datetime import datetime
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from ecom.harness.diagrams.picture import Picture
from ecom.stores.reader import rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONFIRMED, OPEN = "confirmed", "not ended yet"

_QUERY = """SELECT order_id, type, time, json_extract(body, '$.reason') FROM events
            WHERE type IN ('order.created', 'order.confirmed', 'order.cancelled') ORDER BY n"""


class Strip(NamedTuple):
    """One order; times are seconds after the first order was accepted, whole milliseconds."""

    order_id: str
    outcome: str  # CONFIRMED, the reason of its cancellation, or OPEN
    accepted: float
    confirmed: float | None  # also of an order that was cancelled afterwards
    ended: float | None

    def lasts_until(self, now: float) -> float:
        """Where the strip ends, if the latest that is known happened at `now`."""
        return now if self.ended is None else self.ended


class Timeline(Picture):
    """The orders of a shop, by outcome."""

    def __init__(self, strips: list[Strip]) -> None:
        self.strips = strips

    @property
    def title(self) -> str:
        """How many orders ended how."""
        count = len(self.strips)
        return f"{count:,} order{'' if count == 1 else 's'}, from accepted to ended"

    @cached_property
    def bands(self) -> dict[str, list[Strip]]:
        """The orders by outcome: the confirmed first, then by how many there are."""
        by_outcome = sorted(self.strips, key=lambda strip: strip.outcome)
        bands = {name: sorted(band, key=_in_band)
                 for name, band in groupby(by_outcome, lambda strip: strip.outcome)}  # fmt: skip
        names = sorted(bands, key=lambda name: (name != CONFIRMED, name == OPEN, -len(bands[name])))
        return {name: bands[name] for name in names}

    @property
    def text(self) -> str:
        """A line for each outcome. Without times, which are never the same twice: see `frame`."""
        lines = (f"{len(band):>8,} {name}" for name, band in self.bands.items())
        return "\n".join([self.title, *lines])

    @property
    def frame(self) -> pd.DataFrame:
        """order_id, outcome, accepted, confirmed, ended: in seconds after the first order."""
        frame = pd.DataFrame(self.strips, columns=list(Strip._fields))
        return frame.astype({"accepted": "float64", "confirmed": "float64", "ended": "float64"})

    def figure(self) -> "Figure":
        """A new matplotlib figure of it."""
        from ecom.harness.diagrams.timeline_drawing import draw

        return draw(self)


def timeline(folder: Path) -> Timeline:
    """The timeline of the shop in `folder`."""
    accepted: dict[str, float] = {}
    confirmed: dict[str, float] = {}
    cancelled: dict[str, tuple[float, str]] = {}
    for order_id, type_, time, reason in rows(folder, "audit", _QUERY):
        at = datetime.fromisoformat(time).timestamp()
        if type_ == "order.created":
            accepted[order_id] = at
        elif type_ == "order.confirmed":
            confirmed[order_id] = at
        else:
            cancelled[order_id] = at, reason
    first = min(accepted.values(), default=0.0)
    return Timeline([_strip(order_id, accepted, confirmed, cancelled, first)
                     for order_id in sorted(accepted, key=_by_number)])  # fmt: skip


def _strip(
    order_id: str,
    accepted: dict[str, float],
    confirmed: dict[str, float],
    cancelled: dict[str, tuple[float, str]],
    first: float,
) -> Strip:
    good = confirmed.get(order_id)
    ended, outcome = cancelled.get(order_id, (good, OPEN if good is None else CONFIRMED))
    return Strip(order_id, outcome, _after(first, accepted[order_id]), _after(first, good),
                 _after(first, ended))  # fmt: skip


def _after(first: float, at: float | None) -> float | None:
    return None if at is None else round(at - first, 3)


def _in_band(strip: Strip) -> tuple:
    return strip.accepted, strip.ended or 0.0, _by_number(strip.order_id)


def _by_number(order_id: str) -> tuple[int, str]:
    """Order numbers are texts: "999" comes before "1001"."""
    return len(order_id), order_id
