"""All measurements, one after the other, on one broker."""

import os
import platform
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import against, explorer, intake, latency, scale, stages, start, throughput
from benchmarks.contender import Bench, own_home
from benchmarks.contenders import missing
from ecom.broker.lease import lease
from ecom.harness.progress import progress
from ecom_lab.chaos.verdict import commit

MEASURES: dict[str, Callable[[Bench], Any]] = {
    "throughput": throughput.throughput,
    "postgres": throughput.postgres,
    "latency": latency.latency,
    "scale": scale.scale,
    "intake": intake.intake,
    "start": start.start,
    "stages": stages.stages,
    "explorer": explorer.explorer,
}
_KEYS = {"latency": "latency_ms", "start": "start_seconds"}


def measure(
    parts: Iterable[str], orders: int, runs: int, samples: int, other: Path | None
) -> dict[str, Any]:
    """One object with all results; what `throughput` tells stands at its top. With an `other`
    checkout, it is measured beside that alone.

    Raises `BenchFailed` when a contender does not do its work, `BrokerUnavailable`.
    """
    chosen = {part: MEASURES[part] for part in MEASURES if part in set(parts)}
    if other:
        chosen = {"against": partial(against.against, other=other)}
    results = {"orders": orders, "runs": runs, "machine": machine(), "missing_peers": missing()}
    with own_home(), lease() as url, progress(len(chosen), "measurements") as bar:
        bench = Bench(url, orders, runs, samples)
        for part, run in chosen.items():
            bar.set_postfix_str(part)
            found = run(bench)
            results |= found if part == "throughput" else {_KEYS.get(part, part): found}
            bar.update()
    return results


def machine() -> dict[str, Any]:
    """What it ran on, as far as it matters to the reader of a ratio."""
    known = hasattr(os, "sched_getaffinity")
    return {
        "cores": len(os.sched_getaffinity(0)) if known else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "commit": commit(("ecom", "ecom_lab", "benchmarks")),
        "load_before": [round(load, 2) for load in os.getloadavg()],
    }
