"""Runs of a notebook side by side, each in a process of its own that ends when ours does."""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from papermill import execute_notebook
from papermill.exceptions import PapermillExecutionError

from ecom.errors import ShopError
from ecom.process.child import Child, start
from ecom.process.fork_server import how
from ecom_lab.experiments import COLUMNS
from ecom_lab.experiments.kernel import Kernel
from ecom_lab.experiments.notebook import Run, braced

STOP_SECONDS = 20.0  # for a kernel that is stopping: it may have a shop to close
LOOK_SECONDS = 0.05
EXITS = (("SystemExit", ""), ("SystemExit", "0"))  # as papermill has it: no error

Row = dict[str, Any]  # `COLUMNS`, the parameters and what the run has shown


def side_by_side(runs: Iterable[Run], folder: Path, number: int) -> Iterator[tuple[Run, Row]]:
    """Each run and its row, once it has ended; up to `number` run at a time.

    Executed notebooks and what was written to a terminal stay in `folder`. Closed early, all that
    still run are stopped.
    """
    folder.mkdir(parents=True, exist_ok=True)
    waiting, running = deque(runs), {}
    try:
        while waiting or running:
            while waiting and len(running) < number:
                run = waiting.popleft()
                with (folder / f"{run.key}.log").open("wb") as log:
                    running[start(f"{__name__}:work", run, folder, log=log)] = run
            for worker in [each for each in running if each.poll() is not None]:
                run = running.pop(worker)
                yield run, _row(run, folder, worker)
            time.sleep(LOOK_SECONDS)
    finally:
        for worker in running:
            worker.terminate()  # on which nbclient stops the kernel
        for worker in running:
            with suppress(TimeoutError):
                worker.wait(STOP_SECONDS)
            worker.kill()


def work(run: Run, folder: Path) -> None:
    """What a process does: the notebook is run by papermill, in its own folder."""
    into = folder / f"{run.key}.ipynb"
    into.unlink(missing_ok=True)
    with suppress(PapermillExecutionError):  # it is in the notebook
        execute_notebook(
            run.notebook.node,
            braced(into),
            run.given,
            cwd=run.notebook.path.absolute().parent,
            progress_bar=False,
            kernel_manager_class=Kernel,
        )


def _row(run: Run, folder: Path, worker: Child) -> Row:
    row = {"key": run.key, "notebook": run.notebook.path.name, "code": run.notebook.code}
    row |= {"status": "failed", "seconds": None, "error": None, **run.parameters}
    try:
        if status := worker.wait():
            said = (folder / f"{run.key}.log").read_text(errors="replace").splitlines()
            why = f": {said[-1]}" if said and status > 0 else ""
            raise ShopError(f"its process ended {how(status)}{why}")
        done = nbformat.read(folder / f"{run.key}.ipynb", 4)
        row["seconds"] = round(done.metadata.papermill.duration, 3)
        return row | {"status": "done"} | recorded(done, {*COLUMNS, *run.notebook.parameters})
    except ShopError as error:
        return row | {"error": str(error)}


def recorded(notebook: NotebookNode, columns: set[str]) -> Row:
    """The scalars in all that the notebook shows as JSON objects. Raises `ShopError`, also with
    the error at which the notebook ended.

    `columns` are the names that are taken already.
    """
    found: dict[str, Any] = {}
    for output in (out for cell in notebook.cells for out in cell.get("outputs", [])):
        if output.output_type == "error" and (output.ename, output.evalue) not in EXITS:
            raise ShopError(f"{output.ename}: {output.evalue}")
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
