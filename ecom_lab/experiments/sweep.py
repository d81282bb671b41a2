"""A sweep: a notebook at every combination of parameters, a row of SQLite a run."""

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from pathlib import Path
from signal import SIGINT
from typing import Any

import psutil
from nbformat import NotebookNode
from papermill import execute_notebook
from papermill.exceptions import PapermillExecutionError
from sqlite_utils import Database

from ecom.broker.lease import lease
from ecom.errors import ShopError
from ecom.harness.progress import progress
from ecom_lab.experiments import COLUMNS, report, results
from ecom_lab.experiments.kernel import Kernel
from ecom_lab.experiments.notebook import Run, braced, read

STOP_SECONDS = 20.0  # for a kernel that is stopping: it may have a shop to close

Row = dict[str, Any]  # `COLUMNS`, the parameters and what the run has shown


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
            folder.mkdir(parents=True, exist_ok=True)
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


def side_by_side(runs: list[Run], folder: Path, number: int) -> Iterator[tuple[Run, Row]]:
    """Each run and its row, once it has ended; up to `number` at a time, each in a kernel of its
    own, which ends when we do. Interrupted, all that still run are stopped."""
    with ThreadPoolExecutor(number) as pool:
        begun = {pool.submit(play, run, folder): run for run in runs}
        try:
            yield from ((begun[each], each.result()) for each in as_completed(begun))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            ours = psutil.Process().children()
            kernels = [it for it in ours if "ipykernel_launcher" in it.cmdline()]
            for kernel in kernels:  # whose cell is interrupted, on which papermill ends it
                kernel.send_signal(SIGINT)
            for kernel in psutil.wait_procs(kernels, STOP_SECONDS)[1]:
                kernel.kill()


def play(run: Run, folder: Path) -> Row:
    """Run the notebook by papermill, in its own folder; what there is to know of that.

    The executed notebook stays in `folder`.
    """
    notebook, began = run.notebook, time.perf_counter()
    row = {"key": run.key, "notebook": notebook.path.name, "code": notebook.code}
    row |= {"status": "failed", "seconds": None, "error": None, **run.parameters}
    try:
        done = execute_notebook(
            notebook.node,
            braced(folder / f"{run.key}.ipynb"),
            run.given,
            cwd=notebook.path.absolute().parent,
            progress_bar=False,
            kernel_manager_class=Kernel,
        )
        row |= recorded(done, {*COLUMNS, *notebook.parameters}) | {"status": "done"}
    except PapermillExecutionError as error:
        row["error"] = f"{error.ename}: {error.evalue}"
    except Exception as error:  # a kernel that was killed, perhaps: a failure of this run alone
        row["error"] = str(error)
    return row | {"seconds": round(time.perf_counter() - began, 3)}


def recorded(notebook: NotebookNode, columns: set[str]) -> Row:
    """The scalars in all that the notebook shows as JSON objects. Raises `ShopError`.

    `columns` are the names that are taken already.
    """
    found: dict[str, Any] = {}
    for output in (out for cell in notebook.cells for out in cell.get("outputs", [])):
        shown = output.get("data", {}).get("application/json")
        found |= shown if isinstance(shown, dict) else {}
    if not found:
        raise ShopError("The notebook shows no results: show IPython.display.JSON({…}) of them.")
    taken = {name.lower() for name in columns}
    for name, value in found.items():
        if name.lower() in taken:
            raise ShopError(f"The result {name!r} has the name of a parameter or of a column.")
        if isinstance(value, list | dict):
            raise ShopError(f"The result {name!r} is no number, text or truth, but {value!r}.")
    return found
