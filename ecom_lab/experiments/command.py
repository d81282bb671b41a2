"""`ecom sweep`: a notebook at every combination of parameters."""

import sys
from pathlib import Path

import click

from ecom.cli.options import Place


@click.command(context_settings={"show_default": True})
@click.argument("notebook", type=Place())
@click.option(
    "-p",
    "parameters",
    type=(str, str),
    multiple=True,
    metavar="NAME VALUES",
    help="A parameter, and its values with commas between; repeatable.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Run each combination with SEED from 1 to N.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=2,
    help="Runs side by side; each opens its own shop.",
)
@click.option(
    "--into",
    type=Place(dir_okay=False),
    default="results.db",
    help="The SQLite file of results, its report beside it.",
)
def sweep(
    notebook: Path, parameters: tuple[tuple[str, str], ...], seeds: int, workers: int, into: Path
) -> None:
    """Run NOTEBOOK with papermill at every combination of parameters, and report.

    Example: ecom sweep notebooks/10_run_an_experiment.ipynb -p HOLD_SECONDS 0.5,2,10 --seeds 3

    Its results are the scalars in what it shows as IPython.display.JSON. A sweep that was
    interrupted goes on where it was; a run that failed is tried again. Exit status 1 if any failed.
    """
    from ecom_lab.experiments.sweep import Sweep

    done = Sweep(notebook, parameters, seeds, into)
    try:
        failed = done.run(workers, lambda line: click.echo(line, err=True))
    except KeyboardInterrupt:
        click.echo("Interrupted. The same command goes on where it was.", err=True)
        sys.exit(130)
    swept = [word for name, values in parameters for word in ("-p", name, values)]
    seeded = ["--seeds", str(seeds)] if seeds else []
    command = ["ecom", "sweep", str(notebook), *swept, *seeded, "--into", str(into)]
    click.echo(done.report(command))
    sys.exit(1 if failed else 0)
