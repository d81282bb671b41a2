"""What experiments show: sales lost to what, the price of failures, a storm; and any sweep at all.

Each takes the frame of `ecom_lab.experiments.results`, or storms, and gives a `Plot`. Matplotlib is
used without pyplot, so nothing is left open and no notebook's settings are touched.
"""

from collections.abc import Iterator, Mapping

import pandas as pd
from matplotlib.axes import Axes

from ecom.harness.diagrams import palette
from ecom_lab.experiments.book import COLUMNS
from ecom_lab.experiments.picture import DASHES, HATCHES, MARKS, Plot, dress, plain, sheet
from ecom_lab.experiments.storm import SLOT, Storm

REASONS = {"out_of_stock": "out of stock", "declined": "card declined", "expired": "hold expired"}
TINTS = (palette.FAILURE, "#D78B59", "#EEC9B3")  # of what is lost, by reason
AT_ONCE = 6  # lines in one axes


def lost_sales(frame: pd.DataFrame) -> Plot:
    """Sales lost, by reason, against `HOLD_SECONDS`: a group of bars each failure rate."""
    title = "Lost sales, by how long stock is held"
    figure = sheet(title)
    rates = sorted(frame.GATEWAY_FAILURE_RATE.unique())
    panels = figure.subplots(1, len(rates), sharey=True, squeeze=False)[0]
    for axes, rate in zip(panels, rates, strict=True):
        part = frame[frame.GATEWAY_FAILURE_RATE.eq(rate)]
        _stack(axes, part.groupby("HOLD_SECONDS")[list(REASONS)].mean())
        dress(axes, title=f"{rate:.0%} of calls fail", xlabel="hold, seconds")
        axes.title.set_size(9)
    panels[0].set_ylabel("orders, mean over the seeds")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3,
                  frameon=False)  # fmt: skip
    means = frame.groupby(["GATEWAY_FAILURE_RATE", "HOLD_SECONDS"]).lost_sales.mean()
    words = (f"{rate:.0%} failing, held {hold:g} s: {lost:.1f} lost"
             for (rate, hold), lost in means.items())  # fmt: skip
    return Plot(figure, title, "; ".join(words))


def _stack(axes: Axes, means: pd.DataFrame) -> None:
    names, base = [f"{hold:g}" for hold in means.index], [0.0] * len(means)
    for i, (column, reason) in enumerate(REASONS.items()):
        look = {"color": TINTS[i], "hatch": HATCHES[i], "edgecolor": palette.PAPER}
        axes.bar(names, means[column], bottom=base, label=reason, **look)
        base = [low + more for low, more in zip(base, means[column], strict=True)]


def retries(frame: pd.DataFrame) -> Plot:
    """Retries for each payment against the rate of failing calls, beside the law p / (1 - p)."""
    title = "Each further failure costs more retries than the one before"
    figure = sheet(title)
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
    words = (f"at {rate:.0%}: {mean:.2f} (law: {rate / (1 - rate):.2f})"
             for rate, mean in means.items())  # fmt: skip
    return Plot(figure, title, f"Retries per payment: {'; '.join(words)}.")


def storms(storms: Mapping[str, Storm], until: float) -> Plot:
    """Calls at the provider over the first `until` seconds, simulated, an axes each storm."""
    title = "Calls at the provider, simulated"
    figure = sheet(title, height=1.2 + 1.3 * len(storms))
    panels = figure.subplots(len(storms), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for axes, colour, (name, storm) in zip(panels, palette.SERIES, storms.items(), strict=False):
        load = storm.load[: round(until / SLOT)]
        axes.bar([i * SLOT for i in range(len(load))], load, SLOT, align="edge", color=colour)
        axes.axvline(storm.recovers_at, color=palette.INK, ls="--", lw=1)
        axes.text(storm.recovers_at, 1.0, " it is back", transform=axes.get_xaxis_transform(),
                  va="top", size=8, color=palette.INK)  # fmt: skip
        dress(axes, ylabel=f"calls in {SLOT:g} s", title=name)
        axes.title.set_size(9)
    panels[-1].set_xlabel("seconds")
    words = (f"{name}: {it.calls:,} calls, at most {it.peak} at once after recovery, all served "
             f"after {it.over_at:g} s" for name, it in storms.items())  # fmt: skip
    return Plot(figure, title, "; ".join(words) + ".")


def overview(frame: pd.DataFrame, axes: Mapping[str, list]) -> Iterator[Plot]:
    """A picture of each swept parameter: every result that is a number, and changes, against it.

    Lines are means, one for each value of the other parameter that was swept (of the first, if
    there are several); dots are runs. `SEED` is averaged over.
    """
    swept = [name for name, values in axes.items() if len(values) > 1 and name != "SEED"]
    hidden = {*COLUMNS, *axes}
    found = [name for name in _numbers(frame) if name not in hidden and frame[name].nunique() > 1]
    for name in swept if found else ():
        others = [other for other in swept if other != name and len(axes[other]) <= AT_ONCE]
        yield _against(frame, name, others[:1], found)


def _numbers(frame: pd.DataFrame) -> list[str]:
    return [name for name in frame if pd.api.types.is_numeric_dtype(frame[name])]


def _against(frame: pd.DataFrame, name: str, by: list[str], found: list[str]) -> Plot:
    columns = min(3, len(found))
    rows = -(-len(found) // columns)
    figure = sheet(f"By {name}", width=3.0 * columns + 1, height=0.9 + 2.3 * rows)
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, result in zip(panels, found, strict=False):
        for i, (label, part) in enumerate(_groups(frame, by)):
            _line(axes, part, name, result, i, label)
        dress(axes, xlabel=name, title=result)
        axes.ticklabel_format(axis="y", style="plain", useOffset=False)
        axes.title.set_size(9)
    for axes in panels[len(found) :]:
        axes.set_visible(False)
    if by:
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower left",
                      frameon=False, ncols=2 * columns, title=by[0])  # fmt: skip
    return Plot(figure, f"By {name}", _in_words(frame, name, found))


def _groups(frame: pd.DataFrame, by: list[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    if not by:
        yield "", frame
    for name in by:
        for value, part in frame.groupby(name):
            yield plain(value), part


def _line(axes: Axes, part: pd.DataFrame, name: str, result: str, i: int, label: str) -> None:
    colour, mark = palette.SERIES[i % AT_ONCE], MARKS[i % AT_ONCE]
    # Texts and truths as they are called, in their order; numbers where they are.
    at = part[name] if name in _numbers(part) else part[name].astype(str)
    axes.plot(at, part[result], mark, ms=3, color=colour, alpha=0.6)
    means = part[result].groupby(at).mean()
    # Hollow, and dashed but for the first: lines that coincide are still seen to be several.
    axes.plot(means.index, means, mark, ls=DASHES[i % AT_ONCE], ms=6, fillstyle="none",
              color=colour, label=label)  # fmt: skip


def _in_words(frame: pd.DataFrame, name: str, found: list[str]) -> str:
    means = frame.groupby(name)[found].mean().map(lambda mean: float(f"{mean:.4g}"))
    told = (f"{plain(value)}: " + ", ".join(f"{each} {plain(row[each])}" for each in found)
            for value, row in means.iterrows())  # fmt: skip
    return f"Means at each {name}: {'; '.join(told)}."
