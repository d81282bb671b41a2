"""A sweep that nobody had to run: its notebook, its values, its rows, and its page."""

import nbformat
import pandas as pd
from nbformat.v4 import new_code_cell, new_notebook

from ecom_lab.experiments import report
from ecom_lab.experiments.notebook import read

METADATA = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
RATES, HOLDS = [0.0, 0.5, 1.0], [0.5, 1.0, 2.0, 4.0, 8.0, 16.0]
RESULTS = ["confirmed", "lost", "expired", "takings"]
ERROR = "ShopError: A provider whose every call fails is asked for ever: take less than 1."


def rows():
    """A row for each rate and hold; at a rate of 1 it failed. All holds have the same results."""
    frame = pd.DataFrame([{"RATE": rate, "HOLD": hold} for rate in RATES for hold in HOLDS])
    frame = frame.assign(key="", notebook="", code="", seconds=1.25, STOCK=0.8)
    fine = frame.RATE < 1
    frame["status"] = fine.map({True: "done", False: "failed"})
    frame["error"] = fine.map({True: None, False: ERROR})
    for result in RESULTS:
        frame[result] = (1_234_567 - frame.RATE * 2).where(fine)
    return frame


def write_page(folder):
    """The report of these rows: its path."""
    cell = new_code_cell("RATE = 0.0\nHOLD = 1.0\nSTOCK = 0.8", metadata={"tags": ["parameters"]})
    path, page = folder / f"{'long_' * 20}name.ipynb", folder / "results.html"
    nbformat.write(new_notebook(cells=[cell], metadata=METADATA), path)
    report.write(page, read(path), {"RATE": RATES, "HOLD": HOLDS}, rows(), ["ecom", "sweep"] * 40)
    return page
