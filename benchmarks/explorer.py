"""How fast the explorer goes through worlds of several sizes, on all cores, and what it holds."""

import json
import os
import subprocess
import sys
from typing import Any

from benchmarks.contender import Bench

SMALL = ((1, 0),)  # orders and faults of `ecom explore`
LARGE = (*SMALL, (1, 1), (1, 2), (2, 1), (2, 2))
ENOUGH = 1_000  # orders in a run, from which on worlds are large, too


def explorer(bench: Bench) -> list[dict[str, Any]]:
    """By size: states, transitions, seconds, transitions a second, and the most memory (MiB) that
    one of its processes held."""
    return [_explored(*size) for size in (LARGE if bench.orders >= ENOUGH else SMALL)]


def _explored(orders: int, faults: int) -> dict[str, Any]:
    size = [f"--orders={orders}", f"--faults={faults}"]
    command = [sys.executable, "-m", "ecom.cli", "explore", *size, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as it:
        said = it.stdout.read()
        _, status, used = os.wait4(it.pid, 0)
        it.returncode = os.waitstatus_to_exitcode(status)
    found = json.loads(said.splitlines()[-1])
    return {
        "orders": orders,
        "faults": faults,
        **{name: found[name] for name in ("states", "transitions", "seconds", "exhaustive")},
        "transitions_per_second": round(found["transitions"] / found["seconds"]),
        "peak_mib": round(used.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024), 1),
    }
