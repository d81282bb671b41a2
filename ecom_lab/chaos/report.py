"""The scorecard as a frame, and as the page `docs/RELIABILITY.md`."""

import re
from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import pandas as pd

from ecom_lab.chaos.scorecard import FAULTS
from ecom_lab.chaos.testbed import REST_SECONDS
from ecom_lab.chaos.verdict import FIELDS, Verdict

SMALL = " **This is a small run: see `--full`**."
HEAD = """\
| fault | faults | attempted | acknowledged | lost | unexpected | duplicates absorbed | effects \
doubled | books |
|---|--:|--:|--:|--:|--:|--:|--:|---|
"""
ROW = (
    "| {fault} | {injected:,} | {attempted:,} | {acknowledged:,} | {lost:,} | {unexpected:,} "
    "| {duplicate_deliveries:,} | {duplicate_effects:,} | {books} |\n"
)
MANY = 25  # kinds of strikes: more are not listed
PAGE = Path(__file__).with_name("report.md")


def frame(verdicts: Iterable[Verdict]) -> pd.DataFrame:
    """The scorecard: one row a fault, with the ten fields of `Verdict`."""
    return pd.DataFrame([verdict.as_dict() for verdict in verdicts], columns=list(FIELDS))


def write(path: Path, rows: Iterable[Verdict]) -> None:
    """Write the page: of the rows of full size, if there are any."""
    order = {name: place for place, name in enumerate(FAULTS)}
    rows = [row for row in rows if _name(row) in order]  # it may have had another name once
    rows.sort(key=lambda row: (row.configuration, order[_name(row)], row.fault, row.seed))
    whole = [row for row in rows if list(row.size) == list(FAULTS[_name(row)].full)]
    rows = whole or rows
    parts = [_played(*group) for group in groupby(rows, attrgetter("configuration"))]
    page = PAGE.read_text(encoding="utf-8").format(
        how="" if whole else SMALL,
        rest=REST_SECONDS,
        rows=path.with_suffix(".jsonl").name,
        played="\n\n".join(parts),
        example=rows[0].fault,
        seed=rows[0].seed,
    )
    path.write_text(page)


def _name(row: Verdict) -> str:
    """Of the fault, whatever it was played on (see `Fault.on`)."""
    return re.sub(r"(-x\d+|-orchestrated|-postgres|-of-\w+)+$", "", row.fault)


def _played(configuration: str, group: Iterable[Verdict]) -> str:
    rows = list(group)
    table = (ROW.format(**row.as_dict() | {"books": row.books.partition(":")[0]}) for row in rows)
    return "\n".join(
        [f"## {configuration}\n", HEAD + "".join(table), _bound(rows), "", *map(_struck, rows)]
    )


def _bound(rows: list[Verdict]) -> str:
    """Zero failures in n runs bound the rate at 3/n: the rule of three."""
    orders = sum(row.acknowledged for row in rows)
    faults = sum(row.injected for row in rows)
    if broken := [row.fault for row in rows if row.violations]:
        return f"**Promises were broken**: {', '.join(broken)}."
    return (
        f"No promise was broken in {faults:,} faults and {orders:,} acknowledged orders. That is "
        "not *never*: with 95 % confidence, at most one fault of these kinds in "
        f"{max(faults // 3, 1):,} breaks one (the rule of three)."
    )


def _struck(row: Verdict) -> str:
    kinds = "; ".join(f"{times} × {kind}" for kind, times in sorted(row.kinds.items()))
    if len(row.kinds) > MANY:
        times = sorted({min(row.kinds.values()), max(row.kinds.values())})
        kinds = f"{len(row.kinds)} kinds, each {' to '.join(map(str, times))} × (see the rows)"
    return (
        f"- **{row.fault}** ({FAULTS[_name(row)].what}; seed {row.seed}, {row.seconds:,.0f} s, "
        f"commit {row.commit or 'unknown'}): {kinds}. Books {row.books}."
    )
