"""All measurements, one after the other, on one broker."""

import os
import platform
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import intake, latency, scale
from benchmarks.against import against
from benchmarks.contender import Bench, own_home
from benchmarks.contenders import missing
from benchmarks.explorer import explorer, worlds
from benchmarks.stages import stages
from benchmarks.start import start
from benchmarks.throughput import ON_SERVER_EACH, players, postgres, throughput
from ecom.broker.lease import lease
from ecom.harness.progress import progress
from ecom_lab.chaos.verdict import commit

Part = tuple[Callable[[Bench], Any], Callable[[int, int], int]]  # its steps, by orders and runs
PLANNED: dict[str, Part] = {
    "throughput": (throughput, lambda orders, runs: len(players(orders)) * runs),
    "postgres": (postgres, lambda _, runs: ON_SERVER_EACH * runs),
    "latency": (latency.latency, lambda *_: 2 * latency.ROUNDS),
    "scale": (scale.scale, lambda *_: scale.STEPS),
    "intake": (intake.intake, lambda *_: intake.STEPS),
    "start": (start, lambda _, runs: runs),
    "stages": (stages, lambda *_: 1),
    "explorer": (explorer, lambda orders, _: len(worlds(orders))),
}
_KEYS = {"latency": "latency_ms", "start": "start_seconds"}


def measure(
    orders: int, runs: int, samples: int, parts: Iterable[str], other: Path | None = None
) -> dict[str, Any]:
    """One object with all results; what `throughput` tells stands at its top. With an `other`
    checkout, it is measured beside that alone.

    Raises `BenchFailed` when a contender does not do its work, `BrokerUnavailable`.
    """
    chosen = {part: PLANNED[part] for part in PLANNED if part in set(parts)}
    if other:
        chosen = {"against": (partial(against, other=other), lambda _, runs: 2 * runs)}
    results = {"orders": orders, "runs": runs, "machine": machine(), "missing_peers": missing()}
    total = sum(steps(orders, runs) for _, steps in chosen.values())
    with own_home(), lease() as url, progress(total, "measurements") as bar:
        bench = Bench(url, orders, runs, samples, bar.update)
        for part, (run, _) in chosen.items():
            found = run(bench)
            results |= found if part == "throughput" else {_KEYS.get(part, part): found}
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
