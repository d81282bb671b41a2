"""A sweep: a notebook at every combination of parameters, a row of SQLite a run."""

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from ecom.broker.lease import lease
from ecom.errors import ShopError
from ecom.harness.progress import progress
from ecom_lab.experiments import COLUMNS, report, results
from ecom_lab.experiments.notebook import read
from ecom_lab.experiments.worker import side_by_side


class Sweep:
    """`notebook` at every combination of `parameters`, (name, values with commas between) each.

    Results go to the SQLite file `into`, executed notebooks and the report beside it. Raises
    `ShopError` for what cannot be swept, before anything is run.
    """

    def __init__(
        self, notebook: Path, parameters: Iterable[tuple[str, str]], seeds: int, into: Path
    ) -> None:
        self._notebook, self._into = read(notebook), into
        self._axes = self._notebook.axes(parameters, seeds)
        self._runs = {run.key: run for run in self._notebook.runs(self._axes)}

    def run(self, workers: int, tell: Callable[[str], Any]) -> int:
        """Run what is not done yet; how many runs have failed. `tell` hears of each that has.

        A row is written once a run has ended, in place of an earlier try: a sweep that dies has
        lost only what was under way.
        """
        failed, folder = 0, self._into.with_suffix(".runs").absolute()
        with closing(_opened(self._into)) as database:
            table = database["runs"]
            done = {row["key"] for row in table.rows_where("status = 'done'", select="key")}
            left = [run for key, run in self._runs.items() if key not in done]
            if not left:
                return 0
            # The lease is held over all of them, so that their shops share one broker.
            with (
                lease(),
                progress(len(left), "runs") as bar,
                closing(side_by_side(left, folder, workers)) as ended,
            ):
                for run, row in ended:
                    if row["status"] == "failed":
                        failed += 1
                        tell(f"Failed with {run}: {row['error']}")
                    table.upsert(row, pk="key", alter=True)
                    bar.update(1)
        return failed

    def report(self, command: list[str]) -> str:
        """Write the report; one sentence about what there is. `command` is what repeats it."""
        page, frame = self._into.with_suffix(".html"), results(self._into)
        frame = frame[frame.key.isin(self._runs)]  # the file may hold other sweeps, too
        frame = frame[[name for name in frame if name in COLUMNS or frame[name].notna().any()]]
        report.write(page, self._notebook, self._axes, frame, command)
        done = (frame.status == "done").sum()
        return f"{done} of {len(frame)} runs done. Results: {self._into}; report: {page}."


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
