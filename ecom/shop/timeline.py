"""When each order was accepted and when it ended, as audit heard of it: a strip for every order."""

from datetime import datetime
from functools import cached_property
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import pandas as pd

from ecom.harness.diagrams import palette
from ecom.harness.diagrams.picture import Picture
from ecom.services.audit import Entry
from ecom.stores.reader import Reader

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONFIRMED, OPEN = "confirmed", "not ended yet"
COLOURS = {CONFIRMED: palette.SUCCESS, OPEN: palette.GREY}  # all others failed, or were undone


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
        grouped = groupby(by_outcome, lambda strip: strip.outcome)
        bands = {name: sorted(band, key=_in_band) for name, band in grouped}
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
        from ecom.harness.diagrams.strips import Band, Part, draw

        now = max((each.lasts_until(each.confirmed or 0) for each in self.strips), default=0.0)
        bands = []
        for name, band in self.bands.items():
            colour = COLOURS.get(name, palette.FAILURE)
            strips = [[Part(*part) for part in _parts(strip, colour, now)] for strip in band]
            bands.append(Band(_in_words(name, band), colour, name == OPEN, strips))
        return draw(self.title, bands, "seconds after the first order was accepted")


def _parts(strip: Strip, colour: str, now: float) -> list[tuple[float, float, str]]:
    """One; two of an order that was confirmed before it was cancelled."""
    end = strip.lasts_until(now)
    if strip.confirmed is None or strip.outcome == CONFIRMED:
        return [(strip.accepted, end, colour)]
    good = (strip.accepted, strip.confirmed, palette.SUCCESS)
    return [good, (strip.confirmed, end, colour)]


def _in_words(name: str, band: list[Strip]) -> str:
    times = [strip.ended - strip.accepted for strip in band if strip.ended is not None]
    typical = f"\nmedian {median(times):.2f} s" if times else ""
    return f"{len(band):,} {name}{typical}"


def timeline(folder: Path) -> Timeline:
    """The timeline of the shop in `folder`."""
    accepted: dict[str, float] = {}
    confirmed: dict[str, float] = {}
    cancelled: dict[str, tuple[float, str]] = {}
    with Reader(folder) as read:
        log = sorted(read["audit"].values(Entry, "n", "order_id", "type", "time"))
        bodies = dict(read["audit"].values(Entry, "order_id", "body", type="order.cancelled"))
    for _, order_id, type_, time in log:
        if type_ == "order.created":
            accepted[order_id] = _at(time)
        elif type_ == "order.confirmed":
            confirmed[order_id] = _at(time)
        elif type_ == "order.cancelled":
            cancelled[order_id] = _at(time), msgspec.json.decode(bodies[order_id])["reason"]
    first = min(accepted.values(), default=0.0)
    strips = []
    for order_id, at in accepted.items():
        good = confirmed.get(order_id)
        ended, outcome = cancelled.get(order_id, (good, OPEN if good is None else CONFIRMED))
        times = (_after(first, each) for each in (good, ended))
        strips.append(Strip(order_id, outcome, round(at - first, 3), *times))
    return Timeline(sorted(strips, key=lambda strip: _by_number(strip.order_id)))


def _at(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()


def _after(first: float, at: float | None) -> float | None:
    return None if at is None else round(at - first, 3)


def _in_band(strip: Strip) -> tuple[float, float, tuple[int, str]]:
    return strip.accepted, strip.ended or 0.0, _by_number(strip.order_id)


def _by_number(order_id: str) -> tuple[int, str]:
    """Order numbers are texts: "999" comes before "1001"."""
    return len(order_id), order_id
