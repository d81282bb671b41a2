"""A sweep as one self-contained HTML page: parameters, means, failures, how to repeat it."""

import shlex
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.api.types import is_numeric_dtype

from ecom import __version__
from ecom.harness.diagrams import palette
from ecom_lab.experiments import COLUMNS
from ecom_lab.experiments.notebook import Notebook
from ecom_lab.experiments.plots import plain

PAGE = Path(__file__).with_name("report.html")


def write(
    path: Path,
    notebook: Notebook,
    axes: dict[str, list[Any]],
    frame: pd.DataFrame,
    command: list[str],
) -> None:
    """Write the page: `frame` is the rows of this sweep, `command` what repeats it."""
    swept = [name for name, values in axes.items() if len(values) > 1]
    done, failed = frame[frame.status == "done"], frame[frame.status == "failed"]
    told = [
        (name, ", ".join(map(plain, axes.get(name, [it["default"]]))), it["help"])
        for name, it in notebook.parameters.items()
    ]
    hidden = {*COLUMNS, *notebook.parameters.keys() - axes} - {"status", "seconds"}
    page = PAGE.read_text(encoding="utf-8").format(
        title=escape(f"Sweep of {notebook.path.stem} over {' × '.join(swept) or 'one setting'}"),
        summary=f"{len(frame)} runs, {len(failed)} of them failed; "
        f"{frame.seconds.sum():,.0f} s of running.",
        parameters=_table(pd.DataFrame(told, columns=["parameter", "values", "meaning"])),
        means="\n".join(map(_table, means(done, axes)))
        or "<p>Nothing varied, or no result that is a number did.</p>",
        failed=_table(failed[[*axes, "error"]]) if len(failed) else "<p>None.</p>",
        runs=_table(frame.drop(columns=[name for name in frame if name in hidden])),
        command=escape(shlex.join(command)),
        code=notebook.code,
        version=__version__,
        ink=palette.INK,
        pale=palette.PALE,
        paper=palette.PAPER,
    )
    path.write_text(page, encoding="utf-8")


def means(frame: pd.DataFrame, axes: dict[str, list[Any]]) -> Iterator[pd.DataFrame]:
    """For each parameter that was swept, but `SEED`: the mean, by its values, of every result that
    is a number and changes. (To see how several go together: `ecom_lab.experiments.results`.)"""
    varied = frame.columns[frame.nunique() > 1].difference([*COLUMNS, *axes], sort=False)
    found = [name for name in varied if is_numeric_dtype(frame[name])]
    for name, values in axes.items():
        if found and len(values) > 1 and name != "SEED":
            mean = frame.groupby(name)[found].mean()
            yield mean.map(lambda it: float(f"{it:.4g}")).reset_index()


def _table(frame: pd.DataFrame) -> str:
    with pd.option_context("display.max_colwidth", None):
        table = frame.to_html(index=False, border=0, na_rep="–", float_format=plain)
    return f'<div class="wide">{table}</div>'
