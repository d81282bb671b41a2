"""All measurements, one after the other, on one broker."""

import os
import platform
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.against import against
from benchmarks.broker import own_broker
from benchmarks.contenders import missing
from benchmarks.explorer import explorer, worlds
from benchmarks.intake import STEPS as INTAKE_STEPS
from benchmarks.intake import intake
from benchmarks.latency import ROUNDS, latency
from benchmarks.postgres import MOST, postgres
from benchmarks.scale import STEPS, scale
from benchmarks.stages import stages
from benchmarks.start import start
from benchmarks.throughput import contenders, throughput
from ecom.harness.progress import progress
from ecom_lab.chaos.rows import commit

_KEYS = {"latency": "latency_ms", "start": "start_seconds"}


def measure(
    orders: int, runs: int, samples: int, parts: Iterable[str], other: Path | None = None
) -> dict[str, Any]:
    """One object with all results; what `throughput` tells stands at its top. With an `other`
    checkout, it is measured beside that alone.

    Raises `BenchFailed` when a contender does not do its work, `BrokerUnavailable`.
    """
    planned: dict[str, tuple[int, Callable]] = {
        "throughput": (
            len(contenders(orders)) * runs,
            lambda url, step: throughput(url, orders, runs, step),
        ),
        "postgres": (MOST * runs, lambda url, step: postgres(url, orders, runs, step)),
        "latency": (2 * ROUNDS, lambda url, step: latency(url, samples, step)),
        "scale": (STEPS, lambda url, step: scale(url, orders, step)),
        "intake": (INTAKE_STEPS, lambda url, step: intake(url, orders, step)),
        "start": (runs, lambda url, step: start(url, runs, step)),
        "stages": (1, lambda url, step: stages(url, orders, step)),
        "explorer": (len(worlds(orders)), lambda url, step: explorer(orders, step)),
    }
    chosen = {part: planned[part] for part in planned if part in set(parts)}
    if other:
        turns = lambda url, step: against(url, other, orders, runs, samples, step)  # noqa: E731
        chosen = {"against": (2 * runs, turns)}
    return _measured(chosen, {"orders": orders, "runs": runs})


def _measured(chosen: dict[str, tuple[int, Callable]], results: dict[str, Any]) -> dict[str, Any]:
    results |= {"machine": machine(), "missing_peers": missing()}
    steps = sum(steps for steps, _ in chosen.values())
    with own_broker() as url, progress(steps, "measurements") as bar:
        for part, (_, run) in chosen.items():
            found = run(url, lambda: bar.update(1))
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
