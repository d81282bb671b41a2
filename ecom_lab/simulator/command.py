"""`ecom explore`: every interleaving and every crash of the real handlers, judged by the books."""

import json
import os
import sys
import time
from typing import Any

import click

from ecom.harness.progress import progress
from ecom_lab.simulator.checker import Result, Violation
from ecom_lab.simulator.scenario import Scenario
from ecom_lab.simulator.shop.ablations import BY_NAME
from ecom_lab.simulator.shop.orchestrated import ABLATIONS, orchestrated_jobs
from ecom_lab.simulator.shop.outcomes import SAGAS, Ends, compared, unreached
from ecom_lab.simulator.shop.scenario import Wish, jobs, shop
from ecom_lab.simulator.suites import Job, explore_all, together, walks

COORDINATED = {it.name: it for it in ABLATIONS}  # of the shop with a coordinator
KNOWN = BY_NAME | COORDINATED
WALKS = 100  # in one random world
# What whole explorations have taken, about, by orders and faults; seconds are of one core.
TAKEN = {
    (1, 2): "230,000 states, 20 seconds",
    (1, 3): "1.1 million states, a minute, 0.4 GiB",
    (2, 1): "240,000 states, 30 seconds",
    (2, 2): "4 million states, 4 minutes, 1.1 GiB",
    (3, 0): "1.5 million states, a minute, 0.4 GiB",
}
BEYOND = "more than 11 million states, 11 minutes and 2.2 GiB; nobody has seen the end of it"
ANY, SOME = click.IntRange(min=0), click.IntRange(min=1)  # an exploration of nothing proves nothing


@click.command()
@click.option("--orders", type=SOME, default=1, show_default=True, help="Customers in a race.")
@click.option("--faults", type=ANY, default=1, show_default=True, help="Faults in one history.")
@click.option(
    "--saga",
    type=click.Choice([*SAGAS]),
    default="choreography",
    show_default=True,
    help="Who tells whom what to do.",
)
@click.option("--without", metavar="SAFEGUARD", help="Take a safeguard away (see --list).")
@click.option("--list", "show_list", is_flag=True, help="List the safeguards, and stop.")
@click.option("--walks", "seeds", type=ANY, default=0, metavar="N", help="Walk at random instead.")
@click.option(
    "--differential",
    type=ANY,
    default=0,
    metavar="N",
    help="Walk through both sagas, in random worlds, and hold them against the table of outcomes.",
)
@click.option(
    "--workers",
    type=SOME,
    default=os.cpu_count() or 1,
    metavar="N",
    help="Processes.  [default: one a core]",
)
@click.option("--json", "as_json", is_flag=True, help="End with one line of JSON.")
@click.pass_context
def explore(
    context: click.Context, show_list: bool, as_json: bool, differential: int, **options: Any
) -> None:
    """Run the real services through every order of events and every crash, up to a bound.

    Exit status 1 if a promise was violated. With --without and no --orders or --faults, the world
    is the smallest in which the loss of this safeguard shows.
    """
    if show_list:
        _list(as_json)
        return
    without = options["without"]
    if without and without not in KNOWN:
        raise click.UsageError(f"no safeguard is called {without}: `ecom explore --list` has them")
    if differential:
        sys.exit(1 if _compare(differential) else 0)
    sources = {context.get_parameter_source(name) for name in ("orders", "faults")}
    given = click.core.ParameterSource.COMMANDLINE in sources
    began = time.perf_counter()
    result = _run(given=given, **options)
    result.seconds = time.perf_counter() - began
    _tell(result, without)
    if as_json:
        click.echo(json.dumps(summary(result, bool(without))))
    sys.exit(1 if result.violations else 0)


def _run(
    orders: int, faults: int, saga: str, without: str | None, seeds: int, workers: int, given: bool
) -> Result:
    change = KNOWN[without].change if without else lambda scenario: scenario
    saga = "orchestration" if without in COORDINATED else saga
    if seeds:
        wishes, stock = (Wish(may_cancel=True),) * orders, (("TEAPOT", max(1, orders // 2)),)
        return _walk(change(SAGAS[saga](shop(wishes, stock, faults=faults))), seeds)
    worlds = orchestrated_jobs if saga == "orchestration" else jobs
    work = [job._replace(scenario=change(job.scenario)) for job in worlds(orders, faults)]
    if worlds is jobs and not without and (expected := foretold(orders, faults)):
        click.echo(f"To expect: {expected}.", err=True)
    if without and not given:
        work = [Job(KNOWN[without].broken)]
    with progress(len(work), "worlds") as bar:
        results = []
        for _, result in explore_all(work, workers):
            results.append(result)
            bar.update(1)
    return together(results)


def foretold(orders: int, faults: int) -> str:
    """What exploring so many orders and faults will take, in words; "" if it is soon over."""
    small = (orders, faults) in ((1, 0), (1, 1), (2, 0))
    return "" if small else TAKEN.get((orders, faults), BEYOND)


def _compare(histories: int) -> bool:
    """Whether either saga departs from the table, or does not come to all that it allows."""
    ends: Ends = {}
    each = min(histories, WALKS)
    worlds = -(-histories // each)
    with progress(worlds * each * len(SAGAS), "histories") as bar:
        problems = list(compared(range(worlds), each, ends, lambda: bar.update(1)))
    click.echo(f"{worlds * each:,} histories of each saga, {len(ends)} rows of the table")
    problems += unreached(ends)
    for problem in problems:
        click.echo(problem)
    return bool(problems)


def _walk(scenario: Scenario, seeds: int) -> Result:
    result = Result(exhaustive=False)
    with progress(seeds, "walks") as bar:
        for walk in walks(scenario, range(seeds)):
            bar.update(1)
            result.transitions += len(walk.steps)
            if walk.promise:
                problem = f"{walk.problem} (seed {walk.seed})"
                result.violations.append(Violation(walk.promise, problem, tuple(walk.steps)))
                break
    return result


def summary(result: Result, with_trace: bool) -> dict[str, Any]:
    """What `--json` prints."""
    whole = {
        "states": result.states,
        "transitions": result.transitions,
        "seconds": round(result.seconds, 3),
        "crash_points": len(result.crash_points),
        "exhaustive": result.exhaustive,
        "violations": [_summed_up(it) for it in result.violations],
    }
    if with_trace:
        steps = result.shortest.steps if result.shortest else ()
        whole["trace"] = [step.as_json() | {"text": str(step)} for step in steps]
    return whole


def _summed_up(it: Violation) -> dict[str, Any]:
    """One violation: which promise (`invariant`), how, in how many steps, and what was lost."""
    lost = {"pounds": 0.0, "units": 0} | it.lost
    return {"invariant": it.promise, "problem": it.problem, "steps": len(it.steps), **lost}


def _tell(result: Result, without: str | None) -> None:
    rate = result.transitions / result.seconds if result.seconds else 0
    click.echo(
        f"{result.states:,} states, {result.transitions:,} transitions in {result.seconds:.1f} s "
        f"({rate:,.0f} a second); {len(result.crash_points)} kinds of crash point"
    )
    if result.shortest is None:
        click.echo("No promise was violated.")
        return
    if without:
        click.echo(f"\n{KNOWN[without].story}")
    click.echo(result.shortest)


def _list(as_json: bool) -> None:
    if as_json:
        known = [{"name": it.name, "story": it.story, "sample": it.sample} for it in KNOWN.values()]
        click.echo(json.dumps(known))
        return
    for it in KNOWN.values():
        click.echo(f"{it.name:25} {it.story}" + (f" ({it.sample})" if it.sample else ""))
