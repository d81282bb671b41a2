"""The report's pictures."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

Results = dict[str, Any]
OURS, OTHERS = "#2a6f97", "#c9c9c9"


def plots(results: Results, folder: Path) -> dict[str, str]:
    """Draw what was measured; file name by the title of the section it belongs to."""
    made = {}
    for title, part, name, draw in (
        ("Throughput", "contenders", "throughput.svg", _throughput),
        ("Latency of one order, idle, milliseconds", "latency_ms", "latency.svg", _latency),
        ("Scale", "scale", "scale.svg", _scale),
    ):
        if results.get(part):
            figure = Figure(figsize=(7, 3), layout="constrained")
            draw(figure.subplots(), results)
            with mpl.rc_context({"svg.hashsalt": "ecom"}):  # the same numbers, the same file
                figure.savefig(folder / f"performance-{name}", metadata={"Date": None})
            made[title] = f"performance-{name}"
    return made


def _throughput(axes: Any, results: Results) -> None:
    speeds = {name: it["median"] for name, it in results["contenders"].items()}
    names = sorted(speeds, key=speeds.get)
    colours = [OURS if name == "ecom" else OTHERS for name in names]
    bars = axes.barh(names, [speeds[name] for name in names], color=colours)
    axes.bar_label(bars, fmt="{:,.0f}", padding=3)
    axes.set_xlabel("orders per second")
    axes.spines[["top", "right"]].set_visible(False)


def _latency(axes: Any, results: Results) -> None:
    shares = ("p50", "p95", "p99")
    for i, (name, colour) in enumerate((("ecom", OURS), ("pika", OTHERS))):
        places = [j + (i - 0.5) * 0.35 for j in range(len(shares))]
        values = [results["latency_ms"][name][share] for share in shares]
        axes.bar_label(axes.bar(places, values, 0.35, color=colour, label=name))
    axes.set_xticks(range(len(shares)), shares)
    axes.set_ylabel("milliseconds")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)


def _scale(axes: Any, results: Results) -> None:
    points = results["scale"]["sizes"]
    sizes, speeds = zip(*((it["orders"], it["orders_per_second"]) for it in points), strict=True)
    axes.plot(sizes, speeds, "o-", color=OURS)
    axes.set(xscale="log", xlabel="orders in one run", ylabel="orders per second", ylim=(0, None))
    axes.spines[["top", "right"]].set_visible(False)
