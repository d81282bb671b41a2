"""When each order was accepted and when it ended, as the log has it: a line for every order."""

from functools import cached_property
from pathlib import Path

import msgspec
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ecom.harness.diagrams import palette
from ecom.harness.diagrams.picture import Picture, paper
from ecom.harness.records import by_number
from ecom.services.audit import Entry
from ecom.stores.reader import Reader

CONFIRMED, OPEN = "confirmed", "not ended yet"
TIMES = {"accepted": "created", "confirmed": "confirmed", "ended": "cancelled"}  # of which event
# Lengths are inches.
WIDTH, LEFT, RIGHT = 6.4, 0.25, 1.85  # at the right, the bands' names
HEAD, FOOT = 0.5, 0.55
ROW, MOST = 0.16, 4.4  # a strip's height, and that of all of them, at most
BAND, GAP = 0.36, 0.1  # a band's height, at least; between bands
COLOURS = {CONFIRMED: palette.SUCCESS, OPEN: palette.GREY}  # all others failed, or were undone


class Timeline(Picture):
    """The orders of a shop, by outcome: a band for each, in it a line for each order.

    `frame` is order_id, outcome (`CONFIRMED`, the reason of its cancellation, or `OPEN`), accepted,
    confirmed (also of an order that was cancelled afterwards), ended: in seconds after the first
    order was accepted, to the millisecond.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame

    @property
    def title(self) -> str:
        """How many orders ended how."""
        count = len(self.frame)
        return f"{count:,} order{'' if count == 1 else 's'}, from accepted to ended"

    @cached_property
    def bands(self) -> dict[str, pd.DataFrame]:
        """The orders by outcome: the confirmed first, then by how many there are."""
        bands = self.frame.sort_values(["accepted", "ended"], kind="stable").groupby("outcome")
        return dict(sorted(bands, key=lambda it: (it[0] != CONFIRMED, it[0] == OPEN, -len(it[1]))))

    @property
    def text(self) -> str:
        """A line for each outcome. Without times, which are never the same twice: see `frame`."""
        lines = (f"{len(band):>8,} {name}" for name, band in self.bands.items())
        return "\n".join([self.title, *lines])

    def figure(self) -> Figure:
        """A new matplotlib figure of it. Who has not ended reaches to the latest that is known."""
        row = min(ROW, MOST / max(1, len(self.frame)))
        heights = [max(BAND, row * len(band)) for band in self.bands.values()]
        total = max(BAND, sum(heights) + GAP * len(heights))
        height = HEAD + total + FOOT
        now = float(self.frame[[*TIMES]].max().fillna(0.0).max())
        with paper(self.title, WIDTH, height) as page:
            size = (WIDTH - LEFT - RIGHT) / WIDTH, total / height
            axes = page.figure.add_axes((LEFT / WIDTH, FOOT / height, *size))
            axes.set(xlim=(0, now * 1.01 or 1), ylim=(total, 0), yticks=[])
            axes.set_xlabel("seconds after the first order was accepted")
            axes.spines[["top", "left", "right"]].set_visible(False)
            top = 0.0
            for (name, band), tall in zip(self.bands.items(), heights, strict=True):
                _band(axes, name, band, top, tall, now)
                top += tall + GAP
        return page.figure


def _band(axes: Axes, name: str, band: pd.DataFrame, top: float, tall: float, now: float) -> None:
    """Lines of one outcome; of orders that were confirmed before they were cancelled, two."""
    row, is_open = tall / len(band), name == OPEN
    colour, words = COLOURS.get(name, palette.FAILURE), f"{len(band):,} {name}"
    # In points: with paper between the lines, while there is room for it.
    thick = min(5, row * 72 * 0.7) if row > 0.04 else row * 72 * 1.1
    style = {"linestyles": "dotted" if is_open else "solid", "lw": thick}
    y = [top + (i + 0.5) * row for i in range(len(band))]
    turn = band.confirmed.fillna(band.accepted)
    axes.hlines(y, band.accepted, turn, palette.SUCCESS, **style)
    shortest = band.accepted + now / 400  # that can still be seen
    axes.hlines(y, turn, band.ended.fillna(now).clip(lower=shortest), colour, **style)
    if not is_open:
        words += f"\nmedian {(band.ended - band.accepted).median():.2f} s"
    beside = axes.get_yaxis_transform()
    axes.text(1.02, top + tall / 2, words, transform=beside, va="center", linespacing=1.4)
    mark = {"lw": 3, "solid_capstyle": "butt", "clip_on": False, "transform": beside}
    axes.plot([1.008] * 2, [top, top + tall], color=colour, **mark)


def timeline(folder: Path) -> Timeline:
    """The timeline of the shop in `folder`."""
    with Reader(folder) as read:
        log = {
            name: dict(read["audit"].values(Entry, "order_id", "time", type=f"order.{key}"))
            for name, key in TIMES.items()
        }
        bodies = read["audit"].values(Entry, "order_id", "body", type="order.cancelled")
    at = pd.DataFrame(log, sorted(log["accepted"], key=by_number))
    at = at.apply(pd.to_datetime, format="ISO8601", utc=True)
    times = (at - at.accepted.min()).apply(lambda each: each.dt.total_seconds()).round(3)
    times["ended"] = times.ended.fillna(times.confirmed)
    reasons = {id_: msgspec.json.decode(body)["reason"] for id_, body in bodies}
    outcome = times.confirmed.map(lambda time: OPEN if pd.isna(time) else CONFIRMED)
    times.insert(0, "outcome", pd.Series(reasons, times.index, "str").fillna(outcome))
    return Timeline(times.rename_axis("order_id").reset_index())
