"""Results for people: tables on a terminal, and `PERFORMANCE.md` with its plots."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.prose import CLOSING, OPENING, SECTIONS

Results = dict[str, Any]


def tables(results: Results) -> Iterable[tuple[str, str]]:
    """Title and Markdown table of each part that was measured."""
    for title, part, make in (
        ("Throughput", "contenders", _throughput),
        ("Latency of one order, idle, milliseconds", "latency_ms", _latency),
        ("Scale", "scale", _scale),
        ("Intake", "intake", _intake),
        ("Start, seconds", "start_seconds", _start),
        ("Explorer", "explorer", _explorer),
    ):
        if results.get(part):
            yield title, make(results)


def write(results: Results, folder: Path) -> None:
    """Write the report and its plots."""
    from benchmarks.plots import plots

    folder.mkdir(parents=True, exist_ok=True)
    pictures = plots(results, folder)
    lines = [OPENING.format(**_facts(results))]
    for title, table in tables(results):
        lines += [f"## {title}", SECTIONS[title], table]
        if title in pictures:
            lines.append(f"![{title}]({pictures[title]})")
    lines.append(CLOSING)
    (folder / "PERFORMANCE.md").write_text("\n\n".join(lines) + "\n")


def _facts(results: Results) -> dict[str, Any]:
    absent = results["missing_peers"]
    return {**results, **results["machine"],
            "absent": f" Not measured: {', '.join(absent)}." if absent else ""}  # fmt: skip


def table(head: tuple[str, ...], rows: Iterable[tuple]) -> str:
    """A Markdown table, its columns aligned."""
    cells = [head, *([_shown(value) for value in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
             for row in cells]  # fmt: skip
    lines.insert(1, " | ".join("-" * width for width in widths))
    return "\n".join(f"| {line} |" for line in lines)


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _throughput(results: Results) -> str:
    ratios = {"ecom": 1.0, "floor": results["floor_ratio"], "bare": results["bare_ratio"],
              **results["peer_ratios"]}  # fmt: skip
    return table(
        ("", "orders/s", "± %", "CPU ms an order", "ecom is × as fast"),
        ((name, it["median"], round(it["spread"] * 100, 1), it["cpu_ms_per_order"],
          round(ratios[name], 2))
         for name, it in results["contenders"].items()),
    )  # fmt: skip


def _latency(results: Results) -> str:
    found = results["latency_ms"]
    return table(
        ("", "p50", "p95", "p99"),
        ((name, *(found[name][p] for p in ("p50", "p95", "p99"))) for name in ("ecom", "pika")),
    )


def _scale(results: Results) -> str:
    found = results["scale"]
    backlog, past = found["backlog"], found["past"]
    replicas = [(f"{it['processes']} processes of inventory", it["orders_per_second"], None)
                for it in found["replicas"]]  # fmt: skip
    return table(
        ("", "per second", "largest process, MiB"),
        [
            *((f"{it['orders']:,} orders", it["orders_per_second"], it["peak_mib"])
              for it in found["sizes"]),
            (f"backlog of {backlog['messages']:,} messages", backlog["messages_per_second"],
             backlog["peak_mib"]),
            ("no past orders", past["without"], None),
            (f"{past['past_orders']:,} past orders", past["with"], None),
            *replicas,
        ],
    )  # fmt: skip


def _intake(results: Results) -> str:
    return table(("orders in one request", "orders/s"),
                 ((it["in_one_request"], it["orders_per_second"]) for it in results["intake"]),
                 )  # fmt: skip


def _start(results: Results) -> str:
    names = {"import_ecom": "`import ecom`", "warm": "a shop, broker running",
             "cold": "a shop, broker to be started"}  # fmt: skip
    found = results["start_seconds"]
    return table(("", "seconds", "± %"),
                 ((names[name], it["median"], round(it["spread"] * 100, 1))
                  for name, it in found.items()))  # fmt: skip


def _explorer(results: Results) -> str:
    return table(("", ""), results["explorer"].items())
