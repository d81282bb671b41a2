"""`ecom chaos`: play the faults, print the scorecard."""

import json
import os
import pkgutil
import sys
from pathlib import Path
from typing import Any

import click

from ecom.cli.options import Place
from ecom.harness.progress import progress
from ecom.sagas.choreography import choreography
from ecom.sagas.orchestration import orchestration
from ecom_lab.chaos.verdict import Rows, Verdict

SAGAS = {"choreography": choreography, "orchestration": orchestration}


@click.command(context_settings={"show_default": True})
@click.argument("names", nargs=-1, metavar="[FAULT]...")
@click.option("--seed", type=int, default=1, help="Of customers and faults.")
@click.option("--orders", type=click.IntRange(min=1), help="How many; without it, the fault's own.")
@click.option("--replicas", type=click.IntRange(1, 9), default=1, help="Of every service.")
@click.option(
    "--saga",
    type=click.Choice(list(SAGAS)),
    default="choreography",
    help="Who tells whom what to do.",
)
@click.option(
    "--database",
    type=click.Choice(["files", "postgres"]),
    default="files",
    help="Where services have their rows.",
)
@click.option("--of", metavar="MODULE:NAME", help="A saga of your own: see docs/YOUR_OWN.md.")
@click.option("--full", is_flag=True, help="The scorecard's sizes: an hour or more, not minutes.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a fault.")
@click.option(
    "--report",
    type=Place(dir_okay=False),
    help="Write the scorecard there, its rows as JSON beside it, each once it has been played.",
)
@click.option(
    "--resume/--again",
    help="Whether what the report has of the same code and configuration is not played again.",
)
def chaos(
    names: tuple[str, ...],
    seed: int,
    orders: int | None,
    saga: str,
    of: str | None,
    full: bool,
    as_json: bool,
    report: Path | None,
    resume: bool,
    **setup: Any,
) -> None:
    """Kill, cut, starve and flood a running shop, and see that nothing goes missing.

    Without FAULT, all of them that this system can play. Exit status 1 if anything was lost,
    doubled or off, or if a FAULT cannot be played.
    """
    from ecom_lab.chaos import play
    from ecom_lab.chaos.report import write

    if resume and not report:
        raise click.UsageError("--resume goes on with the rows of a report: name it by --report.")
    if of and saga != "choreography":
        raise click.UsageError("--saga is about the shop, and a saga of your own is what it is.")
    rows, good = Rows(report.with_suffix(".jsonl")) if report else None, True
    setup |= {"trial": _own(of)} if of else {"saga": SAGAS[saga]}
    for fault in (it.on(**setup) for it in _known(names)):
        if fault.not_here:
            click.echo(f"{fault.name} is not played: {fault.not_here}.", err=True)
            good = good and not names
            continue
        size = fault.full if full else fault.small
        size = size._replace(orders=orders or size.orders)
        verdict = rows.find(fault.name, seed, size) if resume else None
        if verdict is None:
            with progress(size.rounds, fault.name) as bar:
                verdict = play(fault, size, seed, bar.update)
            if report:
                rows.keep(verdict, size)
                write(report, rows)
        click.echo(json.dumps(verdict.as_dict()) if as_json else line(verdict))
        for violation in verdict.violations:
            click.echo(f"{verdict.fault}: {violation}", err=True)
        good = good and not verdict.violations
    sys.exit(0 if good else 1)


def _known(names: tuple[str, ...]) -> list[Any]:
    """The faults of these names; without one, all."""
    from ecom_lab.chaos import FAULTS

    if unknown := [name for name in names if name not in FAULTS]:
        known = ", ".join(FAULTS)
        raise click.BadParameter(f"{unknown[0]!r}: choose of {known}", param_hint="FAULT")
    return [FAULTS[name] for name in names or FAULTS]


def _own(name: str) -> Any:
    from ecom_lab.chaos import Own

    sys.path.append(os.getcwd())  # where its module may be
    try:
        found = pkgutil.resolve_name(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise click.BadParameter(f"{name} is not to be had: {error}", param_hint="--of") from error
    if not isinstance(found, Own):
        raise click.BadParameter(f"{name} is no ecom_lab.chaos.Own", param_hint="--of")
    return found


def line(verdict: Verdict) -> str:
    """A verdict in one line."""
    good = "ok " if not verdict.violations else "BAD"
    return (
        f"{good} {verdict.fault}: {verdict.injected} faults, {verdict.acknowledged:,} of "
        f"{verdict.attempted:,} acknowledged, {verdict.lost} lost, "
        f"{verdict.unexpected} unexpected, {verdict.duplicate_deliveries} duplicates absorbed, "
        f"{verdict.duplicate_effects} effects doubled; books {verdict.books}"
    )
