"""Runs of a notebook side by side, each in a process of its own that ends when ours does."""

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from papermill import execute_notebook
from papermill.exceptions import PapermillExecutionError

from ecom.errors import ShopError
from ecom_lab.experiments.kernel import Kernel
from ecom_lab.experiments.notebook import Run, braced
from ecom_lab.experiments.results_file import COLUMNS

PATIENCE_SECONDS = 20  # for a kernel that is stopping: it may have a shop to close

Row = dict[str, Any]  # `COLUMNS`, the parameters and what the run has shown


def side_by_side(runs: Iterable[Run], folder: Path, number: int) -> Iterator[tuple[Run, Row]]:
    """Each run and its row, once it has ended; up to `number` run at a time.

    Executed notebooks and what was written to a terminal stay in `folder`. Closed early, all that
    still run are stopped.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # papermill takes a second to import
    folder.mkdir(parents=True, exist_ok=True)
    waiting, running = deque(runs), {}
    try:
        while waiting or running:
            while waiting and len(running) < number:
                ours, theirs = context.Pipe(duplex=False)
                process = context.Process(target=_work, args=(waiting[0], folder, theirs))
                process.start()
                theirs.close()  # so that ours ends when the process does
                running[ours] = waiting.popleft(), process
            for pipe in wait(running):
                run, process = running.pop(pipe)
                yield run, _row(run, _answer(pipe, process))
    finally:
        for _, process in running.values():
            process.terminate()
        for _, process in running.values():
            process.join()


def _answer(pipe: Connection, process: Any) -> Row:
    with pipe:
        try:
            return pipe.recv()
        except EOFError:
            process.join()
            return {"error": f"its process ended with {process.exitcode}"}


def _row(run: Run, answer: Row) -> Row:
    return {
        "key": run.key,
        "notebook": run.notebook.path.name,
        "code": run.notebook.code,
        "status": "failed" if "error" in answer else "done",
        "seconds": None,
        "error": None,
        **run.parameters,
        **answer,
    }


def _work(run: Run, folder: Path, answer: Connection) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with (folder / f"{run.key}.log").open("wb") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    begun = time.monotonic()
    found = _execute(run, folder / f"{run.key}.ipynb")
    answer.send({"seconds": round(time.monotonic() - begun, 3), **found})


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    signal.alarm(PATIENCE_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)  # on which nbclient stops the kernel


def _execute(run: Run, into: Path) -> Row:
    """What the notebook shows, run by papermill in its own folder; or the `error` it ends with."""
    into.unlink(missing_ok=True)
    try:
        done = execute_notebook(
            run.notebook.node,
            braced(into),
            run.given,
            cwd=run.notebook.path.absolute().parent,
            progress_bar=False,
            kernel_manager_class=Kernel,
        )
        return recorded(done, {*COLUMNS, *run.notebook.parameters})
    except PapermillExecutionError as error:
        return {"error": f"{error.ename}: {error.evalue}"}
    except Exception as error:
        return {"error": str(error) if isinstance(error, ShopError) else repr(error)}


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
