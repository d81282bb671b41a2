"""The scorecard as a frame, and as the page `docs/RELIABILITY.md`."""

from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import pandas as pd

from ecom_lab.chaos.runner import REST_SECONDS
from ecom_lab.chaos.scorecard import FAULTS
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

PAGE = """\
# Reliability

What happens to orders when processes, connections, disks and brokers fail under them: real
processes, a real RabbitMQ, real signals. Written by `ecom chaos --report`, from the
rows in `{rows}`.{how}

Customers order over HTTP while the fault strikes again and again. Most ask again under the same
`Idempotency-Key` until they are answered. Then the shop has {rest:.0f} seconds to come to rest,
and all is counted from the services' own databases, the payment provider's ledger, the mailbox and
the audit log, as [Jepsen](https://jepsen.io) counts:

- **attempted**: orders sent; **acknowledged**: orders answered with a number;
- **lost**: acknowledged, but never ended, or the customer never told;
- **unexpected**: orders that no customer sent;
- **duplicates absorbed**: messages that an inbox knew already. It must be above zero wherever a
  fault makes the broker deliver again: otherwise it had no effect, and the run does not count;
- **effects doubled**: orders, captures, refunds, mails or log entries that are there twice;
- **books**: whether stock, money, orders, mails and log agree.

{played}

## Again, on your machine

    make chaos

It continues where it was interrupted, and plays no fault twice for the same code. One fault alone:
`ecom chaos {example} --full --seed {seed}`. The seed decides what the customers order and which
fault strikes which service, not how the operating system then schedules them: a run repeats the
plan, not the interleaving. The simulator (`ecom_lab.simulator`) explores all interleavings, up to a
bound. A run is repeated if the experiment itself did not work, never after a violation.

Not covered: a power cut of the whole machine (databases and quorum queues are synced to disk at
each commit, and the simulator drops what was not), and a disk that lies about it.
"""


def frame(verdicts: Iterable[Verdict]) -> pd.DataFrame:
    """The scorecard: one row a fault, with the ten fields of `Verdict`."""
    return pd.DataFrame([verdict.as_dict() for verdict in verdicts], columns=list(FIELDS))


def write(path: Path, rows: Iterable[Verdict]) -> None:
    """Write the page: of the rows of full size, if there are any."""
    order = {name: place for place, name in enumerate(FAULTS)}
    rows = [row for row in rows if row.fault in order]  # it may have had another name once
    rows.sort(key=lambda row: (row.configuration, order[row.fault], row.seed))
    whole = [row for row in rows if list(row.size) == list(FAULTS[row.fault].full)]
    rows = whole or rows
    parts = [_played(*group) for group in groupby(rows, attrgetter("configuration"))]
    page = PAGE.format(
        how="" if whole else SMALL,
        rest=REST_SECONDS,
        rows=path.with_suffix(".jsonl").name,
        played="\n\n".join(parts),
        example=rows[0].fault,
        seed=rows[0].seed,
    )
    path.write_text(page)


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
    return (
        f"- **{row.fault}** ({FAULTS[row.fault].what}; seed {row.seed}, {row.seconds:,.0f} s, "
        f"commit {row.commit or 'unknown'}): {kinds}. Books {row.books}."
    )
