"""A sweep as one self-contained HTML page: parameters, pictures, failures, how to repeat it."""

import base64
import shlex
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from ecom import __version__
from ecom.harness.diagrams import palette
from ecom_lab.experiments.book import COLUMNS, DONE, FAILED
from ecom_lab.experiments.picture import Plot, plain
from ecom_lab.experiments.plots import overview
from ecom_lab.experiments.recipe import Recipe

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: {ink}; background: {paper}; max-width: 64rem;
  margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }}
h1 {{ font-size: 1.5rem; line-height: 1.2; }}
table {{ border-collapse: collapse; font-size: 0.85rem; overflow-wrap: normal; }}
th, td {{ text-align: left; padding: 0.2rem 0.7rem; border-bottom: 1px solid #ddd; }}
th {{ background: {pale}; }}
.wide {{ overflow-x: auto; }}
figure {{ margin: 1.5rem 0; }}
pre {{ background: {pale}; padding: 0.7rem; white-space: pre-wrap; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{summary}</p>
<h2>Parameters</h2>
{parameters}
<h2>Results</h2>
{pictures}
<h2>Failed runs</h2>
{failed}
<h2>All runs</h2>
{runs}
<h2>How to repeat it</h2>
<pre>{command}</pre>
<p>What is done is not done again; name another file to begin anew. Code of the notebook: {code};
ecom {version}.</p>
</body>
</html>
"""


def write(
    path: Path, recipe: Recipe, axes: dict[str, list[Any]], frame: pd.DataFrame, command: list[str]
) -> None:
    """Write the page: `frame` is the rows of this sweep, `command` what repeats it."""
    title, told = _title(recipe, axes), recipe.parameters
    rows = ((name, ", ".join(map(plain, axes.get(name, [told[name]["default"]]))),
             told[name]["help"]) for name in told)  # fmt: skip
    path.write_text(
        PAGE.format(
            title=escape(title), summary=_summary(frame), ink=palette.INK, pale=palette.PALE,
            paper=palette.PAPER, parameters=_table(("parameter", "values", "meaning"), rows),
            pictures=_pictures(frame, axes), failed=_failed(frame, axes),
            runs=_runs(frame, set(told) - set(axes)), command=escape(shlex.join(command)),
            code=recipe.code, version=__version__,
        ),
        encoding="utf-8",
    )  # fmt: skip


def _title(recipe: Recipe, axes: dict[str, list[Any]]) -> str:
    swept = " × ".join(name for name, values in axes.items() if len(values) > 1)
    return f"Sweep of {recipe.path.stem} over {swept or 'one setting'}"


def _summary(frame: pd.DataFrame) -> str:
    failed = (frame.status == FAILED).sum()
    return f"{len(frame)} runs, {failed} of them failed; {frame.seconds.sum():,.0f} s of running."


def _pictures(frame: pd.DataFrame, axes: dict[str, list[Any]]) -> str:
    drawn = [_figure(each) for each in overview(frame[frame.status == DONE], axes)]
    return "\n".join(drawn) or "<p>Nothing varied, or no result that is a number did.</p>"


def _figure(picture: Plot) -> str:
    data = base64.b64encode(picture.svg.encode()).decode()
    return (
        '<figure><div class="wide"><img src="data:image/svg+xml;base64,'
        f'{data}" alt="{escape(picture.text)}"></div>'
        f"<figcaption>{escape(picture.title)}: dots are runs that are done, lines their means."
        "</figcaption></figure>"
    )


def _failed(frame: pd.DataFrame, axes: dict[str, list[Any]]) -> str:
    failed = frame[frame.status == FAILED]
    if failed.empty:
        return "<p>None.</p>"
    lines = (
        f"<li>{_given(row, axes)}: {escape(row['error'])}</li>" for _, row in failed.iterrows()
    )
    return "<ul>\n" + "\n".join(lines) + "\n</ul>"


def _given(row: pd.Series, axes: Iterable[str]) -> str:
    return escape(", ".join(f"{name}={plain(row[name])}" for name in axes)) or "the defaults"


def _runs(frame: pd.DataFrame, defaults: set[str]) -> str:
    hidden = {*COLUMNS, *defaults} - {"status", "seconds"}
    shown = frame[[name for name in frame if name not in hidden]]
    return _table(shown.columns, shown.itertuples(index=False))


def _table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    names = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    lines = ("<tr>" + "".join(f"<td>{_cell(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table>\n<tr>{names}</tr>\n' + "\n".join(lines) + "\n</table></div>"


def _cell(value: Any) -> str:
    if pd.isna(value):
        return "–"
    return escape(plain(value))
