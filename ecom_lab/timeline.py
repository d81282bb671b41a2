"""When each order was accepted and when it ended, as the log has it: a line for every order."""

from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pandas as pd

from ecom.harness.diagrams import palette
from ecom.harness.diagrams.picture import Picture
from ecom.harness.records import by_number
from ecom.services.audit import Entry
from ecom.stores.reader import Reader

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONFIRMED, OPEN = "confirmed", "not ended yet"
COLOURS = {CONFIRMED: palette.SUCCESS, OPEN: palette.GREY}  # all others failed, or were undone


class Timeline(Picture):
    """The orders of a shop, by outcome.

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
        bands = {
            name: band.sort_values(["accepted", "ended"], kind="stable")
            for name, band in self.frame.groupby("outcome")
        }
        names = sorted(bands, key=lambda name: (name != CONFIRMED, name == OPEN, -len(bands[name])))
        return {name: bands[name] for name in names}

    @property
    def text(self) -> str:
        """A line for each outcome. Without times, which are never the same twice: see `frame`."""
        lines = (f"{len(band):>8,} {name}" for name, band in self.bands.items())
        return "\n".join([self.title, *lines])

    def figure(self) -> "Figure":
        """A new matplotlib figure of it."""
        from ecom_lab.timeline_drawing import draw

        return draw(self.title, self.bands, COLOURS)


def timeline(folder: Path) -> Timeline:
    """The timeline of the shop in `folder`."""
    keys = {"accepted": "created", "confirmed": "confirmed", "cancelled": "cancelled"}
    with Reader(folder) as read:
        log = {
            name: dict(read["audit"].values(Entry, "order_id", "time", type=f"order.{key}"))
            for name, key in keys.items()
        }
        bodies = read["audit"].values(Entry, "order_id", "body", type="order.cancelled")
    orders = sorted(log["accepted"], key=by_number)
    at = {
        name: pd.Series({id_: _seconds(time) for id_, time in times.items()}, orders, "float64")
        for name, times in log.items()
    }
    reasons = {id_: msgspec.json.decode(body)["reason"] for id_, body in bodies}
    outcome = at["confirmed"].map(lambda time: OPEN if pd.isna(time) else CONFIRMED)
    columns = {
        "accepted": at["accepted"],
        "confirmed": at["confirmed"],
        "ended": at["cancelled"].fillna(at["confirmed"]),
    }
    times = (pd.DataFrame(columns) - at["accepted"].min()).round(3)
    times.insert(0, "outcome", pd.Series(reasons, orders, "str").fillna(outcome))
    return Timeline(times.rename_axis("order_id").reset_index())


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()
