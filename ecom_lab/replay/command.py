"""`ecom replay`: the orders of a real shop, from a file, placed in a shop of its own."""

import json
import math
import sys
from pathlib import Path

import click

from ecom.cli.options import Place, as_json


def _finite(ctx: click.Context, option: click.Parameter, value: float) -> float:
    if not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a share like 0.9.")
    return value


@click.command()
@click.argument("file", type=Place())
@click.option(
    "--stock",
    type=click.FloatRange(min=0, max=1_000),
    callback=_finite,
    default=0.9,
    show_default=True,
    help="Initial stock of each product, as a share of the file's demand.",
)
@click.option(
    "--dates",
    type=click.Choice(["day-first", "month-first"]),
    help="How dates are written, if the file itself does not show it.",
)
@click.option("--lenient", is_flag=True, help="Also if most lines of the file cannot be used.")
@as_json
def replay(file: Path, stock: float, dates: str | None, lenient: bool, as_json: bool) -> None:
    """Replay real orders: a CSV file of the Online Retail or Online Retail II shape.

    Each invoice becomes an order; each C invoice that covers a whole earlier order of the same
    customer, its cancellation; what cannot be replayed is counted by reason. A small file to try:
    data/orders.csv. The file may be packed (gzip, bzip2, xz, or alone in a zip). How it writes
    columns, numbers and dates is found, and said; a file that does not show it is refused.

    The exit status is 1 if the file is refused, the books are off or an order never ended.
    """
    from ecom_lab.replay import report

    found = report.replay(file, stock, dates, lenient)
    click.echo(json.dumps(found) if as_json else report.in_words(found))
    sys.exit(0 if report.is_good(found) else 1)
