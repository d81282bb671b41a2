"""A sweep from its order to its report."""

from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd

from ecom.broker.lease import lease
from ecom.harness.progress import progress
from ecom_lab.experiments import recipe
from ecom_lab.experiments.book import COLUMNS, DONE, FAILED, Book, results
from ecom_lab.experiments.grid import Run, axes, runs
from ecom_lab.experiments.workers import Workers


class Sweep:
    """`notebook` at every combination of `parameters`, (name, values with commas between) each.

    Results go to the SQLite file `into`, executed notebooks and the report beside it. Raises
    `ShopError` for what cannot be swept, before anything is run.
    """

    def __init__(
        self, notebook: Path, parameters: Iterable[tuple[str, str]], seeds: int, into: Path
    ) -> None:
        self._recipe = recipe.read(notebook)
        self._axes = axes(self._recipe, parameters, seeds)
        self._runs = runs(self._recipe, self._axes)
        self._into = into

    def run(self, workers: int, tell: Callable[[str], Any]) -> int:
        """Run what is not done yet; how many runs have failed. `tell` hears of each that has."""
        with closing(Book(self._into)) as book:
            done = book.done()
            left = [run for run in self._runs if run.key not in done]
            if not left:
                return 0
            # The lease is held over all of them, so that their shops share one broker.
            with lease(), progress(len(self._runs), "runs") as bar:
                bar.update(len(self._runs) - len(left))
                return self._run(left, book, workers, bar, tell)

    def _run(self, left: list[Run], book: Book, workers: int, bar: Any, tell: Callable) -> int:
        failed = 0
        folder = self._into.with_suffix(".runs")
        with closing(Workers(self._recipe, folder, workers).each(left)) as ended:
            for run, row in ended:
                if row["status"] == FAILED:
                    failed += 1
                    tell(f"Failed with {run}: {row['error']}")
                book.write(row)
                bar.update(1)
        return failed

    def frame(self) -> pd.DataFrame:
        """The rows of this sweep alone: the file may hold others."""
        frame = results(self._into)
        mine = frame[frame.key.isin({run.key for run in self._runs})]
        return mine[[name for name in mine if name in COLUMNS or mine[name].notna().any()]]

    def report(self, command: list[str]) -> str:
        """Write the report; one sentence about what there is. `command` is what repeats it."""
        from ecom_lab.experiments import report  # here: matplotlib takes its time

        frame, page = self.frame(), self._into.with_suffix(".html")
        report.write(page, self._recipe, self._axes, frame, command)
        done = (frame.status == DONE).sum()
        return f"{done} of {len(frame)} runs done. Results: {self._into}; report: {page}."
