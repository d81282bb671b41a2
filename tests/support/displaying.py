"""Cells that run as in a notebook: what they leave behind, and what was to be seen meanwhile."""

from typing import Any, NamedTuple

from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook


class Displayed(NamedTuple):
    """What one cell has shown."""

    stored: list[dict[str, Any]]  # the data of each output, as the notebook keeps it
    drawn: list[str]  # the HTML of each update of a display while it lasted


def displayed(*sources: str) -> list[Displayed]:
    """Run these cells one after another, in a kernel of their own."""
    cells = [new_code_cell(source) for source in sources]
    recorder = _Recorder(new_notebook(cells=cells), timeout=60, kernel_name="python3")
    recorder.updates = [[] for _ in cells]
    recorder.execute()
    stored = [[output["data"] for output in cell.outputs] for cell in cells]
    return [Displayed(*each) for each in zip(stored, recorder.updates, strict=True)]


class _Recorder(NotebookClient):
    """Keeps every update, of which a notebook keeps the last."""

    updates: list[list[str]]  # by cell

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        if msg["msg_type"] == "update_display_data":
            self.updates[cell_index].append(msg["content"]["data"]["text/html"])
        return super().process_message(msg, cell, cell_index)
