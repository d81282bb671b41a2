"""A sweep as one self-contained HTML page: parameters, pictures, failures, how to repeat it."""

import base64
import shlex
from collections.abc import Iterator
from html import escape
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from pandas.api.types import is_numeric_dtype

from ecom import __version__
from ecom.harness.diagrams import palette
from ecom_lab.experiments import COLUMNS
from ecom_lab.experiments.notebook import Notebook, Values
from ecom_lab.experiments.plots import Plot, dress, plain, sheet

MARKS = "osD^vX"
DASHES = ("-", "--", "-.", ":", (0, (6, 4)), (0, (2, 4)))
AT_ONCE = len(MARKS)  # lines in one axes
PAGE = Path(__file__).with_name("report.html")


def write(
    path: Path, notebook: Notebook, axes: Values, frame: pd.DataFrame, command: list[str]
) -> None:
    """Write the page: `frame` is the rows of this sweep, `command` what repeats it."""
    swept = " × ".join(name for name, values in axes.items() if len(values) > 1)
    done, failed = frame[frame.status == "done"], frame[frame.status == "failed"]
    page = PAGE.read_text(encoding="utf-8").format(
        title=escape(f"Sweep of {notebook.path.stem} over {swept or 'one setting'}"),
        summary=f"{len(frame)} runs, {len(failed)} of them failed; "
        f"{frame.seconds.sum():,.0f} s of running.",
        parameters=_parameters(notebook, axes),
        pictures="\n".join(map(_figure, overview(done, axes)))
        or "<p>Nothing varied, or no result that is a number did.</p>",
        failed=_failed(failed, list(axes)),
        runs=_runs(frame, notebook.parameters.keys() - axes),
        command=escape(shlex.join(command)),
        code=notebook.code,
        version=__version__,
        ink=palette.INK,
        pale=palette.PALE,
        paper=palette.PAPER,
    )
    path.write_text(page, encoding="utf-8")


def _parameters(notebook: Notebook, axes: Values) -> str:
    rows = [
        (name, ", ".join(map(plain, axes.get(name, [told["default"]]))), told["help"])
        for name, told in notebook.parameters.items()
    ]
    return _table(pd.DataFrame(rows, columns=["parameter", "values", "meaning"]))


def _figure(picture: Plot) -> str:
    data = base64.b64encode(picture.svg.encode()).decode()
    return (
        '<figure><div class="wide"><img src="data:image/svg+xml;base64,'
        f'{data}" alt="{escape(picture.text)}"></div>'
        f"<figcaption>{escape(picture.title)}: dots are runs that are done, lines their means."
        "</figcaption></figure>"
    )


def _failed(failed: pd.DataFrame, axes: list[str]) -> str:
    lines = []
    for _, row in failed.iterrows():
        given = ", ".join(f"{name}={plain(row[name])}" for name in axes) or "the defaults"
        lines.append(f"<li>{escape(given)}: {escape(row['error'])}</li>")
    return "\n".join(["<ul>", *lines, "</ul>"]) if lines else "<p>None.</p>"


def _runs(frame: pd.DataFrame, defaults: set[str]) -> str:
    hidden = {*COLUMNS, *defaults} - {"status", "seconds"}
    return _table(frame[[name for name in frame if name not in hidden]])


def _table(frame: pd.DataFrame) -> str:
    with pd.option_context("display.max_colwidth", None):
        table = frame.to_html(index=False, border=0, na_rep="–", float_format=plain)
    return f'<div class="wide">{table}</div>'


def overview(frame: pd.DataFrame, axes: Values) -> Iterator[Plot]:
    """A picture of each swept parameter: every result that is a number, and changes, against it.

    Lines are means, one for each value of the other parameter that was swept (of the first, if
    there are several); dots are runs. `SEED` is averaged over.
    """
    swept = [name for name, values in axes.items() if len(values) > 1 and name != "SEED"]
    numbers = frame.select_dtypes("number").drop(columns=[*COLUMNS, *axes], errors="ignore")
    found = [*numbers.columns[numbers.nunique() > 1]]
    for name in swept if found else ():
        others = [other for other in swept if other != name and len(axes[other]) <= AT_ONCE]
        yield _against(frame, name, others[:1], found)


def _against(frame: pd.DataFrame, name: str, by: list[str], found: list[str]) -> Plot:
    columns = min(3, len(found))
    rows = -(-len(found) // columns)
    figure = sheet(f"By {name}", width=3.0 * columns + 1, height=0.9 + 2.3 * rows)
    for place, result in enumerate(found, 1):
        axes = figure.add_subplot(rows, columns, place)
        for i, (value, part) in enumerate(frame.groupby(by[0]) if by else [("", frame)]):
            _line(axes, part, name, result, i, plain(value))
        dress(axes, xlabel=name, title=result)
        axes.ticklabel_format(axis="y", style="plain", useOffset=False)
    if by:
        look = {"loc": "outside lower left", "frameon": False, "ncols": 2 * columns}
        figure.legend(*axes.get_legend_handles_labels(), title=by[0], **look)
    return Plot(figure, _in_words(frame, name, found))


def _line(axes: Axes, part: pd.DataFrame, name: str, result: str, i: int, label: str) -> None:
    colour, mark = palette.SERIES[i], MARKS[i]
    # Texts and truths as they are called, in their order; numbers where they are.
    at = part[name] if is_numeric_dtype(part[name]) else part[name].astype(str)
    axes.plot(at, part[result], mark, ms=3, color=colour, alpha=0.6)
    means = part[result].groupby(at).mean()
    # Hollow, and dashed but for the first: lines that coincide are still seen to be several.
    look = {"marker": mark, "ls": DASHES[i], "ms": 6, "fillstyle": "none", "color": colour}
    axes.plot(means.index, means, label=label, **look)


def _in_words(frame: pd.DataFrame, name: str, found: list[str]) -> str:
    means = frame.groupby(name)[found].mean().map(lambda mean: float(f"{mean:.4g}"))
    told = (
        f"{plain(value)}: " + ", ".join(f"{each} {plain(row[each])}" for each in found)
        for value, row in means.iterrows()
    )
    return f"Means at each {name}: {'; '.join(told)}."
