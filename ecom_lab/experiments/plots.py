"""What experiments show: sales lost to what, the price of failures, a storm.

Each takes the frame of `ecom_lab.experiments.results`, or storms, and gives a `Plot`. Matplotlib is
used without pyplot, so nothing is left open and no notebook's settings are touched.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ecom.harness.diagrams import palette
from ecom.harness.diagrams.picture import Picture
from ecom_lab.experiments.storm import SLOT, Storm

HATCHES = ("", "///", "...")
REASONS = {"out_of_stock": "out of stock", "declined": "card declined", "expired": "hold expired"}


class Plot(Picture):
    """A plot that shows itself in a notebook and in a page; `words` say what it shows."""

    def __init__(self, figure: Figure, words: str) -> None:
        self._figure = figure
        self.title = figure.get_suptitle()
        self._words = words

    @property
    def text(self) -> str:
        """The title, and the plot in words: also its alternative text."""
        return f"{self.title}. {self._words}"

    def figure(self) -> Figure:
        """The matplotlib figure, to be saved or changed."""
        return self._figure


def sheet(title: str, width: float = 7.0, height: float = 3.2) -> Figure:
    """An empty figure with a title; sizes in inches."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor=palette.PAPER)
    figure.suptitle(title, x=0.01, ha="left", weight="bold", size=10, color=palette.INK)
    return figure


def dress(axes: Axes, **labels: Any) -> None:
    """The look of all axes; `labels` as for `Axes.set`."""
    axes.set(**labels)
    axes.title.set_size(9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#DDDDDD", lw=0.6)
    axes.set_axisbelow(True)


def plain(value: Any) -> str:
    """A value as people write it: 0.4, 12, 1386000; never 12.0 or 1.386e+06."""
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def lost_sales(frame: pd.DataFrame) -> Plot:
    """Sales lost, by reason, against `HOLD_SECONDS`: a group of bars each failure rate."""
    figure = sheet("Lost sales, by how long stock is held")
    means = frame.groupby(["GATEWAY_FAILURE_RATE", "HOLD_SECONDS"])[["lost_sales", *REASONS]].mean()
    rates = means.index.levels[0]
    panels = figure.subplots(1, len(rates), sharey=True, squeeze=False)[0]
    for axes, rate in zip(panels, rates, strict=True):
        part, base = means.loc[rate], 0.0
        for column, colour, hatch in zip(REASONS, palette.FAILURES, HATCHES, strict=True):
            look = {"color": colour, "hatch": hatch, "edgecolor": palette.PAPER}
            holds = [f"{hold:g}" for hold in part.index]
            axes.bar(holds, part[column], bottom=base, label=REASONS[column], **look)
            base = base + part[column]
        dress(axes, title=f"{rate:.0%} of calls fail", xlabel="hold, seconds")
    panels[0].set_ylabel("orders, mean over the seeds")
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False
    )
    words = (
        f"{rate:.0%} failing, held {hold:g} s: {lost:.1f} lost"
        for (rate, hold), lost in means.lost_sales.items()
    )
    return Plot(figure, "; ".join(words))


def retries(frame: pd.DataFrame) -> Plot:
    """Retries for each payment against the rate of failing calls, beside the law p / (1 - p)."""
    figure = sheet("Each further failure costs more retries than the one before")
    axes = figure.subplots()
    asked = frame.ORDERS - frame.out_of_stock + frame.refunded  # calls that had to succeed
    rates, found = frame.GATEWAY_FAILURE_RATE, frame.retries / asked
    law = [i / 100 for i in range(int(rates.max() * 100) + 1)]
    axes.plot(law, [p / (1 - p) for p in law], "--", color=palette.GREY, label="p / (1 − p)")
    axes.plot(rates, found, "o", color=palette.BLUE, alpha=0.35, label="one run each")
    means = found.groupby(rates).mean()
    axes.plot(means.index, means, "_", ms=26, mew=2.5, color=palette.ORANGE, label="their mean")
    dress(axes, xlabel="rate of failing calls, p", ylabel="retries per payment or refund")
    axes.legend(frameon=False)
    words = (
        f"at {rate:.0%}: {mean:.2f} (law: {rate / (1 - rate):.2f})" for rate, mean in means.items()
    )
    return Plot(figure, f"Retries per payment: {'; '.join(words)}.")


def capacity(frame: pd.DataFrame) -> Plot:
    """Orders per second against hosts (the index), a line each column, beside what would be ideal:
    so many times the first column's first."""
    figure = sheet("Orders per second, by how many hosts there are, simulated")
    axes = figure.subplots()
    ideal = frame.index / frame.index[0] * frame.iloc[0, 0]
    axes.plot(frame.index, ideal, "--", color=palette.GREY, label="ideal")
    for colour, (name, column) in zip(palette.SERIES, frame.items(), strict=False):
        axes.plot(frame.index, column, "o-", color=colour, label=name)
    dress(axes, xlabel="hosts", ylabel="orders per second", xscale="log", yscale="log")
    axes.set_xticks(frame.index, map(plain, frame.index), minor=False)
    axes.legend(frameon=False)
    last = frame.index[-1]
    words = (f"{name}: {column.iloc[-1]:,} at {last} hosts" for name, column in frame.items())
    return Plot(figure, "; ".join(words))


def storms(storms: Mapping[str, Storm], until: float) -> Plot:
    """Calls at the provider over the first `until` seconds, simulated, an axes each storm."""
    figure = sheet("Calls at the provider, simulated", height=1.2 + 1.3 * len(storms))
    panels = figure.subplots(len(storms), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for axes, colour, (name, it) in zip(panels, palette.SERIES, storms.items(), strict=False):
        load = it.load[: round(until / SLOT)]
        axes.bar([i * SLOT for i in range(len(load))], load, SLOT, align="edge", color=colour)
        axes.axvline(it.recovers_at, color=palette.INK, ls="--", lw=1)
        look = {"va": "top", "size": 8, "color": palette.INK}
        axes.text(it.recovers_at, 1, " it is back", transform=axes.get_xaxis_transform(), **look)
        dress(axes, ylabel=f"calls in {SLOT:g} s", title=name)
    panels[-1].set_xlabel("seconds")
    words = (
        f"{name}: {it.calls:,} calls, at most {it.peak} at once after recovery, all served "
        f"after {it.over_at:g} s"
        for name, it in storms.items()
    )
    return Plot(figure, "; ".join(words) + ".")
