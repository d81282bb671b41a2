"""`ecom sweep`: a notebook at every combination of parameters."""

import sys
from collections.abc import Iterable
from pathlib import Path

import click


@click.command()
@click.argument("notebook", type=click.Path(path_type=Path))
@click.option("-p", "parameters", type=(str, str), multiple=True, metavar="NAME VALUES",
              help="A parameter, and its values with commas between; repeatable.")  # fmt: skip
@click.option("--seeds", type=click.IntRange(min=0), default=0, metavar="N",
              help="Run each combination with SEED from 1 to N.")  # fmt: skip
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True,
              help="Runs side by side; each opens its own shop.")  # fmt: skip
@click.option("--into", type=click.Path(dir_okay=False, path_type=Path), default="results.db",
              show_default=True,
              help="The SQLite file of results, its report beside it.")  # fmt: skip
def sweep(
    notebook: Path, parameters: tuple[tuple[str, str], ...], seeds: int, workers: int, into: Path
) -> None:
    """Run NOTEBOOK with papermill at every combination of parameters, and report.

    Example: ecom sweep notebooks/10_run_an_experiment.ipynb -p HOLD_SECONDS 0.5,2,10 --seeds 3

    Its results are the scalars in what it shows as IPython.display.JSON. A sweep that was
    interrupted goes on where it was; a run that failed is tried again. Exit status 1 if any failed.
    """
    from ecom_lab.experiments.sweeping import Sweep

    done = Sweep(notebook, parameters, seeds, into)
    try:
        failed = done.run(workers, lambda line: click.echo(line, err=True))
    except KeyboardInterrupt:
        click.echo("Interrupted. The same command goes on where it was.", err=True)
        sys.exit(130)
    click.echo(done.report(_command(notebook, parameters, seeds, into)))
    sys.exit(1 if failed else 0)


def _command(
    notebook: Path, parameters: Iterable[tuple[str, str]], seeds: int, into: Path
) -> list[str]:
    """What repeats the sweep, however many workers it had."""
    swept = [word for name, values in parameters for word in ("-p", name, values)]
    repeated = ["--seeds", str(seeds)] if seeds else []
    return ["ecom", "sweep", str(notebook), *swept, *repeated, "--into", str(into)]
