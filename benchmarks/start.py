"""How long a beginning takes: importing the package, opening a shop; and what it costs."""

import os
from typing import Any

from benchmarks.contender import Bench, Run, own_home
from benchmarks.contenders import ECOM
from benchmarks.stats import summary


def start(bench: Bench) -> dict[str, Any]:
    """Seconds, each in a new process: `import_ecom`, `warm` (a broker is there), `cold` (one has to
    be started); `cpu` is what import and opening cost, in all processes but the broker's.

    `cold` is left out if `ECOM_AMQP_URL` names a broker, as then none is ever started.
    """
    warm, cold = [], []
    for _ in range(bench.runs):
        with Run(ECOM, bench.url) as run:
            warm.append(run.note("shop"))
        if "ECOM_AMQP_URL" not in os.environ:
            with own_home(), Run(ECOM, "") as run:
                cold.append(run.note("shop"))
    measured = {
        "import_ecom": [each["import"] for each in warm],
        "warm": [each["open"] for each in warm],
        "cpu": [each["cpu"] for each in warm],
        "cold": [each["open"] for each in cold],
    }
    return {name: summary(seconds, 3) for name, seconds in measured.items() if seconds}
