"""Results for people: tables on a terminal, and `PERFORMANCE.md` with its plots."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Results = dict[str, Any]

PAGE = Path(__file__).with_name("report.md")
SHARES = ("p50", "p95", "p99")
STARTS = {
    "import_ecom": "`from ecom import Shop`",
    "warm": "a shop, broker running",
    "cpu": "CPU of these two",
    "cold": "a shop, broker to be started",
}


def tables(results: Results) -> dict[str, str]:
    """A Markdown table by title: of each part that was measured."""
    made = {
        "Throughput": ("contenders", _throughput),
        "PostgreSQL": ("postgres", _postgres),
        "Latency of one order, idle, milliseconds": ("latency_ms", _latency),
        "Scale": ("scale", _scale),
        "Intake": ("intake", _intake),
        "Start, seconds": ("start_seconds", _start),
        "CPU of an order, microseconds": ("stages", _stages),
        "Explorer": ("explorer", _explorer),
        "Against another checkout": ("against", _against),
    }
    return {title: make(results) for title, (part, make) in made.items() if results.get(part)}


def write(results: Results, folder: Path) -> None:
    """Write the report and its plots: the sections of `report.md` whose parts were measured."""
    from benchmarks.plots import plots

    folder.mkdir(parents=True, exist_ok=True)
    found, pictures = tables(results), plots(results, folder)
    opening, *sections = PAGE.read_text().split("\n## ")
    absent = f" Not measured: {', '.join(results['missing_peers'])}."
    facts = {**results, **results["machine"], "absent": absent if results["missing_peers"] else ""}
    told = [opening.format(**facts)]
    for title, _, text in (section.partition("\n\n") for section in sections):
        if title in found:
            picture = f"\n![{title}]({pictures[title]})\n" if title in pictures else ""
            text = f"{text}\n{found[title]}\n{picture}"
        if title in found or title == "Again":
            told.append(f"## {title}\n\n{text}")
    (folder / "PERFORMANCE.md").write_text("\n".join(told))


def table(head: tuple[str, ...], rows: Iterable[tuple]) -> str:
    """A Markdown table, its columns aligned."""
    cells = [head, *([_shown(value) for value in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = [
        " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in cells
    ]
    lines.insert(1, " | ".join("-" * width for width in widths))
    return "\n".join(f"| {line} |" for line in lines)


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _spread(it: dict[str, Any]) -> float:
    return round(it["spread"] * 100, 1)


def _throughput(results: Results) -> str:
    ratios = {"floor": results["floor_ratio"], "bare": results["bare_ratio"], "ecom": 1.0}
    ratios |= results["peer_ratios"]
    rows = (
        (name, it["median"], _spread(it), it["cpu_ms_per_order"], round(ratios[name], 2))
        for name, it in results["contenders"].items()
    )
    return table(("", "orders/s", "± %", "CPU ms an order", "ecom is × as fast"), rows)


def _postgres(results: Results) -> str:
    found = results["postgres"]
    by_speed, by_cost = found["speed_ratios"], found["cost_ratios"]
    rows = (
        (name, it["median"], _spread(it), it["cpu_ms_per_order"], by_speed[name], by_cost[name])
        for name, it in found["contenders"].items()
    )
    ratios = "on PostgreSQL is × as fast", "and × as dear"
    return table(("", "orders/s", "± %", "CPU ms an order", *ratios), rows)


def _latency(results: Results) -> str:
    found = results["latency_ms"]
    rows = ((name, *(found[name][share] for share in SHARES)) for name in ("ecom", "pika"))
    return table(("", *SHARES), rows)


def _scale(results: Results) -> str:
    sizes, backlog, past, replicas = results["scale"].values()
    late = f"backlog of {backlog['messages']:,} messages"
    rows = [
        *((f"{it['orders']:,} orders", it["orders_per_second"], it["peak_mib"]) for it in sizes),
        (late, backlog["messages_per_second"], backlog["peak_mib"]),
        ("no past orders", past["without"], None),
        (f"{past['past_orders']:,} past orders", past["with"], None),
    ]
    rows += (
        (f"{it['processes']} processes of inventory", it["orders_per_second"], None)
        for it in replicas
    )
    return table(("", "per second", "largest process, MiB"), rows)


def _intake(results: Results) -> str:
    requests, half, lists = results["intake"].values()
    head = ("callers", "a second", "of the floor", "p50, ms", "p99, ms", "CPU, ms")
    names = "callers", "per_second", "floor_ratio", "p50", "p99", "cpu_ms", "floor_cpu_ratio"
    rows = [(it["what"], *(it[name] for name in names), it["caller_cpu_ms"]) for it in requests]
    calm = [round(half[name], 2) for name in ("per_second", "p50", "p99", "cpu_ms")]
    rows.append(("the first, by 16, at half of that", 16, calm[0], None, *calm[1:], None, None))
    one = table(("", *head, "× the floor's", "callers' CPU, ms"), rows)
    many = table(("orders in one request", "orders/s"), (tuple(it.values()) for it in lists))
    return f"{one}\n\n{many}"


def _start(results: Results) -> str:
    found = results["start_seconds"]
    rows = ((STARTS[name], it["median"], _spread(it)) for name, it in found.items())
    return table(("", "seconds", "± %"), rows)


def _stages(results: Results) -> str:
    """Of each service, what makes up its CPU time; the dearest stage of all first."""
    found = results["stages"]
    whole: Counter[str] = Counter()
    for stages in found.values():
        whole.update(stages)
    rows = [
        (stage, *(stages.get(stage, 0.0) for stages in found.values()), round(sum_, 1))
        for stage, sum_ in whole.most_common()
    ]
    sums = [round(sum(row[i] for row in rows), 1) for i in range(1, len(found) + 2)]
    return table(("", *found, "all"), [*rows, ("all", *sums)])


def _explorer(results: Results) -> str:
    names = "states", "transitions", "seconds", "transitions_per_second", "peak_mib"
    rows = (
        (f"{it['orders']}, {it['faults']}", *(it[name] for name in names))
        for it in results["explorer"]
    )
    head = "states", "transitions", "seconds", "transitions a second", "largest process, MiB"
    return table(("orders, faults", *head), rows)


def _against(results: Results) -> str:
    rows = []
    for what, found in results["against"].items():
        ours, theirs = found["ecom"], found["other"]
        each = (ours["median"], _spread(ours), theirs["median"], _spread(theirs), found["ratio"])
        rows.append((what, *each))
    return table(("", "this", "± %", "other", "± %", "this / other"), rows)
