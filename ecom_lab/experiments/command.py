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
    from ecom_lab.experiments import report
    from ecom_lab.experiments.notebook import read
    from ecom_lab.experiments.sweep import found, run

    swept, page = read(notebook), into.with_suffix(".html")
    axes = swept.axes(parameters, seeds)
    runs = swept.runs(axes)
    try:
        run(runs, workers, into)
    except KeyboardInterrupt:
        click.echo("Interrupted. The same command goes on where it was.", err=True)
        sys.exit(130)
    frame = found(runs, into)
    report.write(page, swept, axes, frame, ["ecom", *sys.argv[1:]])
    done = (frame.status == "done").sum()
    click.echo(f"{done} of {len(frame)} runs done. Results: {into}; report: {page}.")
    sys.exit(0 if done == len(frame) else 1)
