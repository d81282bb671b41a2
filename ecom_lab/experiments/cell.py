"""One run, in a process of its own: papermill and the notebook's kernel. `python -m` only.

Its order is JSON in its argument, its answer JSON on stdout: `{"result": {…}}` or `{"error": …}`.
It dies with whoever started it: when stdin is closed, it stops the kernel, and then itself.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from papermill import execute_notebook
from papermill.exceptions import PapermillExecutionError

from ecom.errors import ShopError
from ecom_lab.experiments.book import COLUMNS
from ecom_lab.experiments.kernel import Kernel
from ecom_lab.experiments.recipe import read

PATIENCE_SECONDS = 20.0  # for a kernel that is stopping: it may have a shop to close


def answer(notebook: str, code: str, into: str, given: dict[str, Any]) -> dict[str, Any]:
    """Run the notebook, unless it is no longer the one the sweep began with; keep it at `into`."""
    path = Path(notebook)
    try:
        recipe = read(path)
        if recipe.code != code:
            raise ShopError("The notebook was changed during the sweep.")
        Path(into).unlink(missing_ok=True)
        done = execute_notebook(
            recipe.notebook, into.replace("{", "{{").replace("}", "}}"), given, cwd=path.parent,
            progress_bar=False, kernel_manager_class=Kernel,
        )  # fmt: skip
        return {"result": recorded(done, recipe.parameters)}
    except PapermillExecutionError as error:
        return {"error": f"{error.ename}: {error.evalue}"}
    except Exception as error:
        return {"error": str(error) if isinstance(error, ShopError) else repr(error)}


def recorded(notebook: NotebookNode, parameters: dict[str, Any]) -> dict[str, Any]:
    """The scalars in all that the notebook shows as JSON objects. Raises `ShopError`."""
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    found: dict[str, Any] = {}
    for output in outputs:
        shown = output.get("data", {}).get("application/json")
        found |= shown if isinstance(shown, dict) else {}
    if not found:
        raise ShopError("The notebook shows no results: show IPython.display.JSON({…}) of them.")
    taken = {name.lower() for name in (*COLUMNS, *parameters)}
    for name, value in found.items():
        if name.lower() in taken:
            raise ShopError(f"The result {name!r} has the name of a parameter or of a column.")
        if isinstance(value, list | dict):
            raise ShopError(f"The result {name!r} is no number, text or truth, but {value!r}.")
    return found


def _die_with_parent() -> None:
    while os.read(0, 1):
        pass
    threading.Timer(PATIENCE_SECONDS, os._exit, [1]).start()
    os.kill(os.getpid(), signal.SIGTERM)  # on which nbclient stops the kernel


if __name__ == "__main__":
    threading.Thread(target=_die_with_parent, daemon=True).start()
    print(json.dumps(answer(**json.loads(sys.argv[1]))))
