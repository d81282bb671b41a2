"""The scorecard as a frame, and as the page `docs/RELIABILITY.md`."""

import platform
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from ecom import __version__
from ecom.broker.installation import find_rabbitmq, version
from ecom_lab.chaos.runner import REST_SECONDS
from ecom_lab.chaos.scorecard import FAULTS
from ecom_lab.chaos.verdict import FIELDS, Verdict

_COLUMNS = {
    "fault": "fault", "injected": "faults", "attempted": "attempted",
    "acknowledged": "acknowledged", "lost": "lost", "unexpected": "unexpected",
    "duplicate_deliveries": "duplicates absorbed", "duplicate_effects": "effects doubled",
    "books": "books",
}  # fmt: skip

PAGE = """\
# Reliability

What happens to orders when processes, connections, disks and brokers fail under them: real
processes, a real RabbitMQ, real signals. Written by `ecom chaos --report`; {how}.

Customers order over HTTP while the fault strikes again and again. Most ask again under the same
`Idempotency-Key` until they are answered. Then the shop has {rest:.0f} seconds to come to rest,
and all is counted from the services' own databases, the payment provider's ledger, the mailbox and
the audit log, as [Jepsen](https://jepsen.io) counts:

- **attempted**: orders sent; **acknowledged**: orders answered with a number;
- **lost**: acknowledged, and yet never ended, or the customer never told;
- **unexpected**: orders there are that nobody sent;
- **duplicates absorbed**: messages that an inbox knew already. It must be above zero wherever a
  fault makes the broker deliver again: otherwise it hit nothing, and the run does not count;
- **effects doubled**: orders, captures, refunds, mails or log entries that are there twice;
- **books**: whether stock, money, orders, mails and log agree.

{table}

{bound}

## What struck

{struck}

## Again, on your machine

    make chaos

or one of them: `ecom chaos {example} --full --seed {seed}`. The seed decides what the customers
order and what strikes whom, not how the operating system then schedules it: a run can be repeated
in its plan, not in its every interleaving. Those are for the laboratory (`ecom_lab.simulator`),
which explores them all, up to a bound. A run is repeated if the experiment itself did not work; a
violation never is.

Not covered: a power cut of the whole machine (databases and quorum queues are synced to disk at
each commit, and the laboratory drops what was not), and a disk that lies about it.
"""


def frame(verdicts: Iterable[Verdict]) -> pd.DataFrame:
    """The scorecard: one row a fault, with the ten fields of `Verdict`."""
    return pd.DataFrame([verdict.as_dict() for verdict in verdicts], columns=list(FIELDS))


def write(path: Path, verdicts: list[Verdict], full: bool) -> None:
    """Write the page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(verdicts, full))


def page(verdicts: list[Verdict], full: bool) -> str:
    """The page, in Markdown."""
    how = (
        f"ecom {__version__}, RabbitMQ {version(find_rabbitmq())}, Python "
        f"{platform.python_version()}, {platform.system()}, seed {verdicts[0].seed}"
        + ("" if full else ". **This is a small run: see `--full`**")
    )
    struck = [_struck(verdict) for verdict in verdicts]
    return PAGE.format(
        how=how, rest=REST_SECONDS, table=_table(verdicts), bound=_bound(verdicts),
        struck="\n".join(struck), example=verdicts[0].fault, seed=verdicts[0].seed,
    )  # fmt: skip


def _table(verdicts: list[Verdict]) -> str:
    lines = ["| " + " | ".join(_COLUMNS.values()) + " |", "|---" + "|--:" * 7 + "|---|"]
    for verdict in verdicts:
        cells = verdict.as_dict() | {"books": verdict.books.partition(":")[0]}
        shown = [cells[name] for name in _COLUMNS]
        lines.append("| " + " | ".join(f"{cell:,}" if isinstance(cell, int) else cell
                                       for cell in shown) + " |")  # fmt: skip
    return "\n".join(lines)


def _bound(verdicts: list[Verdict]) -> str:
    """Zero failures in n runs bound the rate at 3/n: the rule of three."""
    orders = sum(verdict.acknowledged for verdict in verdicts)
    faults = sum(verdict.injected for verdict in verdicts)
    if broken := [verdict.fault for verdict in verdicts if verdict.violations]:
        return f"**Promises were broken**: {', '.join(broken)}."
    return (
        f"No promise was broken in {faults:,} faults and {orders:,} acknowledged orders. That is "
        "not *never*: with 95 % confidence, at most one fault of these kinds in "
        f"{max(faults // 3, 1):,} breaks one (the rule of three)."
    )


def _struck(verdict: Verdict) -> str:
    what = FAULTS[verdict.fault].what
    kinds = "; ".join(f"{times} × {kind}" for kind, times in sorted(verdict.kinds.items()))
    return (
        f"- **{verdict.fault}** ({what}; {verdict.seconds:,.0f} s): {kinds}. Books {verdict.books}."
    )
