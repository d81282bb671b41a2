"""`ecom chaos`: play the faults, print the scorecard."""

import json
import sys
from pathlib import Path

import click

from ecom.harness.progress import progress
from ecom_lab.chaos.verdict import Verdict


@click.command()
@click.argument("names", nargs=-1, metavar="[FAULT]...")
@click.option("--seed", type=int, default=1, show_default=True, help="Of customers and faults.")
@click.option("--orders", type=click.IntRange(min=1), help="How many; without it, the fault's own.")
@click.option("--full", is_flag=True, help="The scorecard's sizes: hours, not minutes.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a fault.")
@click.option("--report", type=click.Path(path_type=Path), help="Write the scorecard there.")
def chaos(
    names: tuple[str, ...], seed: int, orders: int | None, full: bool, as_json: bool,
    report: Path | None,
) -> None:  # fmt: skip
    """Kill, cut, starve and flood a running shop, and see that nothing goes missing.

    Without FAULT, all of them. Exit status 1 if anything was lost, doubled or off.
    """
    from ecom_lab.chaos.report import write

    verdicts = []
    for name in names or _all():
        verdict = _play(name, seed, orders, full)
        verdicts.append(verdict)
        click.echo(json.dumps(verdict.as_dict()) if as_json else line(verdict))
        for violation in verdict.violations:
            click.echo(f"{verdict.fault}: {violation}", err=True)
        if report:
            write(report, verdicts, full)
    sys.exit(1 if any(verdict.violations for verdict in verdicts) else 0)


def _all() -> list[str]:
    from ecom_lab.chaos.scorecard import FAULTS

    return list(FAULTS)


def _play(name: str, seed: int, orders: int | None, full: bool) -> Verdict:
    from ecom_lab.chaos.runner import play
    from ecom_lab.chaos.scorecard import FAULTS

    if name not in FAULTS:
        raise click.BadParameter(f"{name!r}: choose of {', '.join(FAULTS)}", param_hint="FAULT")
    fault = FAULTS[name]
    size = fault.full if full else fault.small
    size = size._replace(orders=orders or size.orders)
    with progress(size.rounds, name) as bar:
        return play(fault, size, seed, lambda: bar.update(1))


def line(verdict: Verdict) -> str:
    """A verdict in one line."""
    good = "ok " if not verdict.violations else "BAD"
    return (
        f"{good} {verdict.fault}: {verdict.injected} faults, {verdict.acknowledged:,} of "
        f"{verdict.attempted:,} orders acknowledged, {verdict.lost} lost, "
        f"{verdict.unexpected} unexpected, {verdict.duplicate_deliveries} duplicates absorbed, "
        f"{verdict.duplicate_effects} effects doubled; books {verdict.books}"
    )
