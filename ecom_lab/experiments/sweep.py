"""A sweep: a notebook at every combination of parameters, a row of SQLite a run."""

import sqlite3
from contextlib import closing
from pathlib import Path

import click
import pandas as pd
from sqlite_utils import Database

from ecom.broker.lease import lease
from ecom.errors import ShopError
from ecom.harness.progress import progress
from ecom_lab.experiments import COLUMNS, results
from ecom_lab.experiments.notebook import Run
from ecom_lab.experiments.worker import side_by_side


def run(runs: list[Run], workers: int, into: Path) -> None:
    """Run what is not done yet, `workers` side by side; what fails is told.

    A row of the SQLite file `into` is written once a run has ended, in place of an earlier try: a
    sweep that dies has lost only what was under way. Executed notebooks are kept beside it.
    """
    folder = into.with_suffix(".runs").absolute()
    with closing(_opened(into)) as database:
        table = database["runs"]
        done = {row["key"] for row in table.rows_where("status = 'done'", select="key")}
        left = [run for run in runs if run.key not in done]
        if not left:
            return
        # The lease is held over all of them, so that their shops share one broker.
        with (
            lease(),
            progress(len(left), "runs") as bar,
            closing(side_by_side(left, folder, workers)) as ended,
        ):
            for run, row in ended:
                if row["status"] == "failed":
                    click.echo(f"Failed with {run}: {row['error']}", err=True)
                table.upsert(row, pk="key", alter=True)
                bar.update(1)


def found(runs: list[Run], into: Path) -> pd.DataFrame:
    """What is in the file of these runs: it may hold other sweeps, too."""
    frame = results(into)
    frame = frame[frame.key.isin([run.key for run in runs])]
    return frame[[name for name in frame if name in COLUMNS or frame[name].notna().any()]]


def _opened(path: Path) -> Database:
    """The file of results, with its table `runs`; both are made if need be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        database = Database(path)
        table = database["runs"].create(COLUMNS, pk="key", if_not_exists=True)
        strange = not COLUMNS.keys() <= table.columns_dict.keys()
    except (OSError, sqlite3.Error) as error:
        raise ShopError(f"{path} cannot hold the results: {error}.") from error
    if strange:
        raise ShopError(f"{path} has a table `runs` that is not ours: name another file.")
    return database
