"""How long a beginning takes: importing the package, opening a shop."""

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.broker import own_home
from benchmarks.stats import summary
from ecom import Shop

_IMPORT = "import time; t = time.perf_counter(); import ecom; print(time.perf_counter() - t)"


def start(url: str, runs: int, step: Callable[[], None]) -> dict[str, Any]:
    """Seconds: `import_ecom`, `warm` (a broker is there) and `cold` (one has to be started).

    `cold` is left out if `ECOM_AMQP_URL` names a broker, as then none is ever started.
    """
    imports, warm, cold = [], [], []
    for _ in range(runs):
        run = subprocess.run([sys.executable, "-c", _IMPORT], capture_output=True, check=True)
        imports.append(float(run.stdout))
        warm.append(_opening(amqp_url=url))
        with own_home() as home:
            seconds = _opening()
            if (home / "broker").exists():
                cold.append(seconds)
        step()
    result = {"import_ecom": summary(imports, 3), "warm": summary(warm, 2)}
    return result | ({"cold": summary(cold, 2)} if cold else {})


def _opening(**options: Any) -> float:
    begun = time.monotonic()
    with Shop(**options):
        return time.monotonic() - begun
