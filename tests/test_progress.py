"""Progress in a notebook: seen while it lasts, and nothing of it stored."""

import nbformat
from nbclient import NotebookClient

CELL = """
from ecom.backroom.progress import progress
import time
with progress(3, "orders ended") as bar:
    for _ in range(3):
        until = time.monotonic() + {seconds}
        while time.monotonic() < until:
            pass
        bar.update(1)
"""


def outputs_and_updates(seconds):
    """What the cell leaves behind, and how often it drew."""
    drawn = []
    cell = nbformat.v4.new_code_cell(CELL.format(seconds=seconds))
    notebook = nbformat.v4.new_notebook(cells=[cell])
    client = NotebookClient(notebook, timeout=60, kernel_name="python3")
    original = client.process_message

    def watching(message, cell, index):
        if message["msg_type"] == "update_display_data":
            drawn.append(message["content"]["data"]["text/html"])
        return original(message, cell, index)

    client.process_message = watching
    client.execute()
    return [output["data"] for output in notebook.cells[0].outputs], drawn


def test_a_bar_leaves_the_same_output_however_long_it_took():
    """It draws while it lasts; stored outputs are equal, so that nbval can compare them."""
    quick, _ = outputs_and_updates(0)
    slow, drawn = outputs_and_updates(0.15)
    assert quick == slow == [{"text/html": "", "text/plain": ""}]
    assert any("2 of 3" in html for html in drawn)
