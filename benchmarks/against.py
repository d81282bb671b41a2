"""This checkout beside another one, in turns on one broker: what has become slower, and dearer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from benchmarks.contender import Contender, Run
from benchmarks.contenders import ECOM, shop_of
from benchmarks.latency import one
from benchmarks.stats import percentiles, ratio, summary
from benchmarks.throughput import speed


def against(
    url: str, other: Path, orders: int, runs: int, samples: int, step: Callable[[], None]
) -> dict[str, Any]:
    """What is measured → a summary of this checkout and of the `other`, and the `ratio`.

    A ratio is the median of each round's own; who begins a round changes from round to round.
    """
    both = [ECOM, shop_of(other.absolute(), "other")]
    seen: dict[str, dict[str, list[float]]] = {}
    for turn in range(1, runs + 1):
        for contender in both:
            found = _measure(contender, url, orders, samples)
            for what, value in found.items():
                seen.setdefault(what, {}).setdefault(contender.name, []).append(value)
            told = ", ".join(f"{value:.4g} {what}" for what, value in found.items())
            click.echo(f"{turn} of {runs}, {contender.name}: {told}", err=True)
            step()
        both.reverse()
    return {
        what: {
            **{name: summary(values, 3) for name, values in by_name.items()},
            "ratio": ratio(by_name["ecom"], by_name["other"]),
        }
        for what, by_name in seen.items()
    }


def _measure(contender: Contender, url: str, orders: int, samples: int) -> dict[str, float]:
    with Run(contender, url) as run:
        note = run.note("shop-1")
        run.orders(20)
        idle = percentiles([one(run) for _ in range(samples)])
        fast, cost = speed(run, orders)
    return {
        "orders per second": fast,
        "CPU of an order, ms": cost,
        "an order when idle, p50, ms": idle["p50"],
        "an order when idle, p99, ms": idle["p99"],
        "import, s": note["import"],
        "opening, s": note["open"],
        "import and opening, CPU, s": note["cpu"],
    }
