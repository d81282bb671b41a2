"""`ecom bench`: measure, and tell."""

import json
from pathlib import Path
from typing import Any

import click

from ecom.cli.options import Place, as_json

PARTS = ("throughput", "postgres", "latency", "scale", "intake", "start", "stages", "explorer")
MANY = click.IntRange(min=1)


@click.command(context_settings={"show_default": True})
@click.option(
    "--orders",
    type=MANY,
    default=10_000,
    help="In one run; peers carry out a tenth, scale goes to twentyfold.",
)
@click.option("--runs", type=MANY, default=5, help="Turns that everybody takes.")
@click.option(
    "--samples", type=click.IntRange(min=4), default=400, help="Orders whose latency is taken."
)
@click.option(
    "--only",
    type=click.Choice(PARTS),
    multiple=True,
    help="This part alone; may be given several times.",
)
@click.option(
    "--against",
    "other",
    type=Place(exists=True, file_okay=False),
    help="Measure this shop beside that of another checkout, and nothing else.",
)
@click.option(
    "--report",
    type=Place(file_okay=False),
    help="Write PERFORMANCE.md and its plots into this folder.",
)
@as_json
def bench(only: tuple[str, ...], report: Path | None, as_json: bool, **asked: Any) -> None:
    """Measure throughput, latency, scale, intake, start and stages, against the broker's own speed.

    Beside the shop run, in turns: the same messages with nothing else done (the floor), and the
    same saga in plain pika, FastStream, Celery, Dramatiq, Nameko and DBOS, as far as these are set
    up (benchmarks/peers/setup). All of it takes about half an hour; --orders 500 --runs 1 a few
    minutes.
    """
    from benchmarks.report import tables, write
    from benchmarks.suite import measure

    results = measure(only or PARTS, **asked)
    if report:
        write(results, report)
    told = (f"{title}\n{table}" for title, table in tables(results).items())
    click.echo(json.dumps(results) if as_json else "\n\n".join(told))
