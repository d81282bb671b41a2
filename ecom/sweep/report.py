"""A sweep as one self-contained HTML page: parameters, pictures, failures, how to repeat it."""

import base64
import shlex
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from ecom import __version__
from ecom.history import palette
from ecom.sweep.book import COLUMNS, DONE, FAILED
from ecom.sweep.picture import Plot
from ecom.sweep.plots import overview
from ecom.sweep.recipe import Recipe

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: {ink}; max-width: 64rem; margin: 2rem auto;
  padding: 0 1rem; }}
table {{ border-collapse: collapse; font-size: 0.85rem; }}
th, td {{ text-align: left; padding: 0.2rem 0.7rem; border-bottom: 1px solid #ddd; }}
th {{ background: {pale}; }}
.wide {{ overflow-x: auto; }}
figure {{ margin: 1.5rem 0; }}
img {{ max-width: 100%; }}
pre {{ background: {pale}; padding: 0.7rem; overflow-x: auto; }}
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
    title = f"Sweep of {recipe.path.name}"
    told = recipe.parameters
    rows = ((name, ", ".join(map(str, axes.get(name, [told[name]["default"]]))), told[name]["help"])
            for name in told)  # fmt: skip
    path.write_text(
        PAGE.format(
            title=escape(title), summary=_summary(frame), ink=palette.INK, pale=palette.PALE,
            parameters=_table(("parameter", "values", "meaning"), rows),
            pictures=_pictures(frame, axes), failed=_failed(frame, axes), runs=_runs(frame),
            command=escape(shlex.join(command)), code=recipe.code, version=__version__,
        ),
        encoding="utf-8",
    )  # fmt: skip


def _summary(frame: pd.DataFrame) -> str:
    failed = (frame.status == FAILED).sum()
    return f"{len(frame)} runs, {failed} of them failed; {frame.seconds.sum():,.0f} s of running."


def _pictures(frame: pd.DataFrame, axes: dict[str, list[Any]]) -> str:
    drawn = [_figure(each) for each in overview(frame[frame.status == DONE], axes)]
    return "\n".join(drawn) or "<p>Nothing varied, or no result that is a number did.</p>"


def _figure(picture: Plot) -> str:
    data = base64.b64encode(picture.svg.encode()).decode()
    return (
        f'<figure><img src="data:image/svg+xml;base64,{data}" alt="{escape(picture.text)}">'
        f"<figcaption>{escape(picture.title)}: dots are runs, lines their means.</figcaption>"
        "</figure>"
    )


def _failed(frame: pd.DataFrame, axes: dict[str, list[Any]]) -> str:
    failed = frame[frame.status == FAILED]
    if failed.empty:
        return "<p>None.</p>"
    return _table([*axes, "error"], failed[[*axes, "error"]].itertuples(index=False))


def _runs(frame: pd.DataFrame) -> str:
    hidden = [name for name in COLUMNS if name not in ("status", "seconds")]
    shown = frame.drop(columns=hidden)
    return _table(shown.columns, shown.itertuples(index=False))


def _table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    names = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    lines = ("<tr>" + "".join(f"<td>{_cell(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table>\n<tr>{names}</tr>\n' + "\n".join(lines) + "\n</table></div>"


def _cell(value: Any) -> str:
    if pd.isna(value):
        return "–"
    return f"{value:g}" if isinstance(value, float) else escape(str(value))
