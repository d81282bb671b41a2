"""Results for people: tables on a terminal, and `PERFORMANCE.md` with its plots."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pandas as pd

Results = dict[str, Any]

OURS, OTHERS = "#2a6f97", "#c9c9c9"
SHARES = ("p50", "p95", "p99")
PAGE = Path(__file__).with_name("report.md")
STARTS = {
    "import_ecom": "`from ecom import Shop`",
    "warm": "a shop, broker running",
    "cpu": "CPU of these two",
    "cold": "a shop, broker to be started",
}


def tables(results: Results) -> dict[str, str]:
    """A Markdown table by title: of each part that was measured."""
    return {
        title: make(results) for title, (part, make, _) in SECTIONS.items() if results.get(part)
    }


def write(results: Results, folder: Path) -> None:
    """Write the report and its plots: the sections of `report.md` whose parts were measured."""
    folder.mkdir(parents=True, exist_ok=True)
    found = tables(results)
    opening, *sections = PAGE.read_text().split("\n## ")
    absent = f" Not measured: {', '.join(results['missing_peers'])}."
    facts = {**results, **results["machine"], "absent": absent if results["missing_peers"] else ""}
    told = [opening.format(**facts)]
    for title, _, text in (section.partition("\n\n") for section in sections):
        if title in found:
            text = f"{text}\n{found[title]}\n{_picture(title, results, folder)}"
        if title in found or title == "Again":
            told.append(f"## {title}\n\n{text}")
    (folder / "PERFORMANCE.md").write_text("\n".join(told))


def _picture(title: str, results: Results, folder: Path) -> str:
    """Draw what was measured, if that has a plot; how the page shows it."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    part, _, plot = SECTIONS[title]
    if plot is None:
        return ""
    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.subplots()
    plot(axes, results[part])
    axes.spines[["top", "right"]].set_visible(False)
    name = f"performance-{title.split()[0].lower()}.svg"
    with mpl.rc_context({"svg.hashsalt": "ecom"}):  # the same numbers, the same file
        figure.savefig(folder / name, metadata={"Date": None})
    return f"\n![{title}]({name})\n"


def _plot_throughput(axes: Any, contenders: dict[str, Any]) -> None:
    speeds = pd.Series({name: it["median"] for name, it in contenders.items()}).sort_values()
    colours = [OURS if name == "ecom" else OTHERS for name in speeds.index]
    axes.bar_label(axes.barh(speeds.index, speeds, color=colours), fmt="{:,.0f}", padding=3)
    axes.set_xlabel("orders per second")


def _plot_latency(axes: Any, latency: dict[str, Any]) -> None:
    shown = pd.DataFrame({name: latency[name] for name in ("ecom", "pika")})
    shown.plot.bar(ax=axes, color=[OURS, OTHERS], width=0.7, rot=0, ylabel="milliseconds")
    for bars in axes.containers:
        axes.bar_label(bars)
    axes.legend(frameon=False)


def _plot_scale(axes: Any, scale: dict[str, Any]) -> None:
    points = [(it["orders"], it["per_second"]) for it in scale["sizes"]]
    axes.plot(*zip(*points, strict=True), "o-", color=OURS)
    axes.set(xscale="log", xlabel="orders in one run", ylabel="orders per second", ylim=(0, None))


def table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A Markdown table, its columns aligned."""
    cells = [[*head], *([_shown(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(map(str.ljust, row, widths))} |" for row in cells)


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _figure(it: dict[str, Any]) -> tuple[float, float]:
    """A summary's median, and its spread in percent."""
    return it["median"], round(it["spread"] * 100, 1)


def _speeds(contenders: dict[str, Any], ratios: dict[str, dict[str, float]]) -> str:
    """What each does, beside ratios of several kinds."""
    rows = (
        (name, *_figure(it), it["cpu_ms_per_order"], *(kind[name] for kind in ratios.values()))
        for name, it in contenders.items()
    )
    return table(("", "orders/s", "± %", "CPU ms an order", *ratios), rows)


def _throughput(results: Results) -> str:
    ratios = {"floor": results["floor_ratio"], "bare": results["bare_ratio"], "ecom": 1.0}
    ratios = {name: round(it, 2) for name, it in (ratios | results["peer_ratios"]).items()}
    return _speeds(results["contenders"], {"ecom is × as fast": ratios})


def _postgres(results: Results) -> str:
    found = results["postgres"]
    ratios = found["speed_ratios"], found["cost_ratios"]
    heads = "on PostgreSQL is × as fast", "and × as dear"
    return _speeds(found["contenders"], dict(zip(heads, ratios, strict=True)))


def _latency(results: Results) -> str:
    found = results["latency_ms"]
    rows = ((name, *(found[name][share] for share in SHARES)) for name in ("ecom", "pika"))
    return table(("", *SHARES), rows)


def _scale(results: Results) -> str:
    sizes, others = results["scale"].values()
    rows = ((it["what"], it["per_second"], it["peak_mib"]) for it in (*sizes, *others))
    return table(("", "per second", "largest process, MiB"), rows)


def _intake(results: Results) -> str:
    requests, half, lists = results["intake"].values()
    head = ("callers", "a second", "of the floor", "p50, ms", "p99, ms", "CPU, ms")
    names = "callers", "per_second", "floor_ratio", "p50", "p99", "cpu_ms", "floor_cpu_ratio"
    rows = [(it["what"], *(it[name] for name in names), it["caller_cpu_ms"]) for it in requests]
    calm = [round(half[name], 2) for name in ("per_second", "p50", "p99", "cpu_ms")]
    rows.append(("the first, by 16, at half of that", 16, calm[0], None, *calm[1:], None, None))
    one = table(("", *head, "× the floor's", "callers' CPU, ms"), rows)
    many = table(("orders in one request", "orders/s"), (it.values() for it in lists))
    return f"{one}\n\n{many}"


def _start(results: Results) -> str:
    rows = ((STARTS[name], *_figure(it)) for name, it in results["start_seconds"].items())
    return table(("", "seconds", "± %"), rows)


def _stages(results: Results) -> str:
    """Of each service, what makes up its CPU time; the dearest stage of all first."""
    found = pd.DataFrame(results["stages"]).fillna(0.0)
    found["all"] = found.sum(axis="columns")
    found = found.sort_values("all", ascending=False)
    found.loc["all"] = found.sum()
    return table(("", *found), found.round(1).itertuples())


def _explorer(results: Results) -> str:
    names = "states", "transitions", "seconds", "transitions_per_second", "peak_mib"
    rows = (
        (f"{it['orders']}, {it['faults']}", *(it[name] for name in names))
        for it in results["explorer"]
    )
    head = "states", "transitions", "seconds", "transitions a second", "largest process, MiB"
    return table(("orders, faults", *head), rows)


def _against(results: Results) -> str:
    rows = (
        (what, *_figure(found["ecom"]), *_figure(found["other"]), found["ratio"])
        for what, found in results["against"].items()
    )
    return table(("", "this", "± %", "other", "± %", "this / other"), rows)


# By title: which of the results it is of, its table, and its plot if it has one.
SECTIONS: dict[str, tuple[str, Callable[[Results], str], Callable[[Any, Any], None] | None]] = {
    "Throughput": ("contenders", _throughput, _plot_throughput),
    "PostgreSQL": ("postgres", _postgres, None),
    "Latency of one order, idle, milliseconds": ("latency_ms", _latency, _plot_latency),
    "Scale": ("scale", _scale, _plot_scale),
    "Intake": ("intake", _intake, None),
    "Start, seconds": ("start_seconds", _start, None),
    "CPU of an order, microseconds": ("stages", _stages, None),
    "Explorer": ("explorer", _explorer, None),
    "Against another checkout": ("against", _against, None),
}
