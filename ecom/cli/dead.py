"""`ecom dead`: dead letters in a terminal."""

import json
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from ecom.cli.options import Named, aligned, as_json, cell, of_shop
from ecom.sagas.orchestration import orchestration

if TYPE_CHECKING:
    from ecom.harness.dead_letters.dead_letters import DeadLetters, Which

# What a terminal shows: long texts last, and whole, as `--error` needs them.
LETTERS = ["id", "service", "order_id", "type", "reason", "attempts", "last", "exception"]
GROUPS = ["letters", "service", "type", "reason", "last", "error"]

_SERVICES = click.Choice(orchestration().contract.services)
_of_service = click.option("--service", type=_SERVICES, help="Only this service's.")
_body = click.option("--body", type=click.File("rb"), help="A file with the new body, or -.")


def _choice(command: Callable) -> Callable:
    ids = click.argument("ids", nargs=-1)
    error = click.option(
        "--error", help="Those of one group: its error, as `list --groups` shows it."
    )
    everything = click.option("--all", "everything", is_flag=True, help="All of them.")
    return ids(_of_service(error(everything(command))))


def _of_shop(command: Callable) -> Callable:
    """Options that name a shop, whose dead letters the command is given as `letters`."""

    @of_shop
    @wraps(command)
    def opening(*, shop: Named, **others: Any) -> None:
        from ecom.broker.lease import lease
        from ecom.harness.dead_letters.dead_letters import DeadLetters
        from ecom.harness.tenancy import address, kept_broker
        from ecom.shop.folder import kept_saga

        folder = shop.kept
        with lease(kept_broker(folder)) as url:
            where = address(url, shop.name), shop.name, folder
            command(letters=DeadLetters(kept_saga(folder), *where), **others)

    return opening


@click.group()
def dead() -> None:
    """Dead letters: messages that failed for good. Show, try, edit, replay or drop them.

    Start with `ecom dead list`; nothing is lost by looking.
    """


@dead.command("list")
@_of_service
@click.option("--groups", is_flag=True, help="Count those that failed alike.")
@_of_shop
@as_json
def list_(service: str | None, groups: bool, letters: "DeadLetters", as_json: bool) -> None:
    """List the dead letters, or groups of them."""
    frame = letters.groups(service) if groups else letters.list(service)
    if as_json:
        click.echo(json.dumps(frame.to_dict("records")))
    elif frame.empty:
        click.echo("No dead letters.")
    else:
        click.echo(aligned(frame[GROUPS if groups else LETTERS]))


@dead.command()
@click.argument("id")
@_of_shop
def show(id: str, letters: "DeadLetters") -> None:
    """Show one dead letter, whole."""
    click.echo(repr(letters.show(id)))


@dead.command("dry-run")
@click.argument("id")
@_body
@_of_shop
def dry_run(id: str, body: Any, letters: "DeadLetters") -> None:
    """Show what a replay would do, changing nothing. With another body, if one is given."""
    click.echo(repr(letters.dry_run(id, body=body and body.read())))


@dead.command()
@click.argument("id")
@_body
@_of_shop
def edit(id: str, body: Any, letters: "DeadLetters") -> None:
    """Change a dead letter's body, and replay it. Without options, in your editor."""
    if body is None:
        old = letters.show(id).body.decode(errors="backslashreplace")
        if (new := click.edit(old, extension=".json")) is None:
            click.echo("Nothing was changed: it stays.")
            return
        changed = new.rstrip("\n").encode()
    else:
        changed = body.read()
    click.echo(f"Replayed {letters.replay(id, body=changed)}.")


@dead.command()
@_choice
@click.option("--override", default="", help="Why also forged ones may go; in overridden.log.")
@_of_shop
def replay(override: str, letters: "DeadLetters", **choice: Any) -> None:
    """Deliver dead letters to their services again. Each has its effect once."""
    replayed = letters.replay(_chosen(letters, **choice), override=override)
    click.echo(f"Replayed {replayed}.")


@dead.command()
@_choice
@click.option("--reason", required=True, help="Why they may go; kept in the shop's dropped.log.")
@_of_shop
def drop(reason: str, letters: "DeadLetters", **choice: Any) -> None:
    """Delete dead letters."""
    click.echo(f"Dropped {letters.drop(_chosen(letters, **choice), reason)}.")


def _chosen(
    letters: "DeadLetters",
    ids: tuple[str, ...],
    service: str | None,
    error: str | None,
    everything: bool,
) -> "Which":
    if ids:
        return ids
    if not (service or error or everything):
        raise click.UsageError("Say which: ids, --service, --error or --all.")
    groups = letters.groups(service)
    return groups if error is None else groups[groups.error.map(cell) == error]  # as `list` shows
