"""This checkout beside another one, in turns on one broker: what has become slower, and dearer."""

from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import click

from benchmarks.contender import Bench, Run
from benchmarks.contenders import ECOM, shop_of
from benchmarks.latency import one
from benchmarks.stats import percentiles, ratio, summary
from benchmarks.throughput import speed, turns


def against(bench: Bench, other: Path) -> dict[str, Any]:
    """What is measured → a summary of this checkout and of the `other`, and the `ratio`.

    A ratio is the median of each round's own; who begins a round changes from round to round.
    """
    both = ECOM, shop_of(other.absolute(), "other")
    players = islice(cycle(both + both[::-1]), 2 * bench.runs)
    return {
        what: {name: summary(values, 3) for name, values in by_name.items()}
        | {"ratio": ratio(by_name["ecom"], by_name["other"])}
        for what, by_name in turns(bench, players, partial(_measure, bench.samples)).items()
    }


def _measure(samples: int, run: Run, orders: int) -> dict[str, float]:
    note = run.note("shop")
    run.orders(20)
    idle = percentiles([one(run) for _ in range(samples)])
    found = {
        **speed(run, orders),
        "an order when idle, p50, ms": idle["p50"],
        "an order when idle, p99, ms": idle["p99"],
        "import, s": note["import"],
        "opening, s": note["open"],
        "import and opening, CPU, s": note["cpu"],
    }
    told = ", ".join(f"{value:.4g} {what}" for what, value in found.items())
    click.echo(f"{run.contender.name}: {told}", err=True)
    return found
