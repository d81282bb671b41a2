"""`ecom dead`: dead letters in a terminal."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from ecom.cli.options import aligned, as_json, cell, of_shop, shop_folder, shop_name
from ecom.sagas.orchestration import orchestration

# What a terminal shows: long texts last, and whole, as `--error` needs them.
LETTERS = ["id", "service", "order_id", "type", "reason", "attempts", "last", "exception"]
GROUPS = ["letters", "service", "type", "reason", "last", "error"]

if TYPE_CHECKING:
    import pandas as pd

    from ecom.harness.dead_letters.dead_letters import DeadLetters


_of_service = click.option(
    "--service",
    type=click.Choice(orchestration().contract.services),
    help="Only this service's.",
)


_body = click.option("--body", type=click.File("rb"), help="A file with the new body, or -.")


def _choice(command: Callable) -> Callable:
    ids = click.argument("ids", nargs=-1)
    error = click.option(
        "--error", help="Those of one group: its error, as `list --groups` shows it."
    )
    everything = click.option("--all", "everything", is_flag=True, help="All of them.")
    return ids(_of_service(error(everything(command))))


@contextmanager
def _letters_of(name: str) -> Iterator["DeadLetters"]:
    from ecom.broker.lease import lease
    from ecom.harness.dead_letters.dead_letters import DeadLetters
    from ecom.harness.tenancy import address, kept_broker
    from ecom.shop.folder import kept_saga

    folder = shop_folder(name)
    with lease(kept_broker(folder)) as url:
        shop = shop_name(name)
        yield DeadLetters(kept_saga(folder), address(url, shop), shop, folder)


@click.group()
def dead() -> None:
    """Dead letters: messages that failed for good. Show, try, edit, replay or drop them.

    Start with `ecom dead list`; nothing is lost by looking.
    """


@dead.command("list")
@_of_service
@click.option("--groups", is_flag=True, help="Count those that failed alike.")
@of_shop
@as_json
def list_(service: str | None, groups: bool, name: str, as_json: bool) -> None:
    """List the dead letters, or groups of them."""
    with _letters_of(name) as letters:
        frame = letters.groups(service) if groups else letters.list(service)
    if as_json:
        click.echo(json.dumps(frame.to_dict("records")))
    elif frame.empty:
        click.echo("No dead letters.")
    else:
        click.echo(aligned(frame[GROUPS if groups else LETTERS]))


@dead.command()
@click.argument("id")
@of_shop
def show(id: str, name: str) -> None:
    """Show one dead letter, whole."""
    with _letters_of(name) as letters:
        click.echo(repr(letters.show(id)))


@dead.command("dry-run")
@click.argument("id")
@_body
@of_shop
def dry_run(id: str, body: Any, name: str) -> None:
    """Show what a replay would do, changing nothing. With another body, if one is given."""
    with _letters_of(name) as letters:
        click.echo(repr(letters.dry_run(id, body=body and body.read())))


@dead.command()
@click.argument("id")
@_body
@of_shop
def edit(id: str, body: Any, name: str) -> None:
    """Change a dead letter's body, and replay it. Without options, in your editor."""
    with _letters_of(name) as letters:
        changed = body and body.read()
        if body is None:
            old = letters.show(id)
            new = click.edit(old.body.decode(errors="backslashreplace"), extension=".json")
            if new is None:
                click.echo("Nothing was changed: it stays.")
                return
            changed = new.rstrip("\n").encode()
        click.echo(f"Replayed {letters.replay(id, body=changed)}.")


@dead.command()
@_choice
@click.option("--override", default="", help="Why also forged ones may go; in overridden.log.")
@of_shop
def replay(override: str, name: str, **choice: Any) -> None:
    """Deliver dead letters to their services again. Each has its effect once."""
    with _letters_of(name) as letters:
        replayed = letters.replay(_chosen(letters, **choice), override=override)
        click.echo(f"Replayed {replayed}.")


@dead.command()
@_choice
@click.option("--reason", required=True, help="Why they may go; kept in the shop's dropped.log.")
@of_shop
def drop(reason: str, name: str, **choice: Any) -> None:
    """Delete dead letters."""
    with _letters_of(name) as letters:
        click.echo(f"Dropped {letters.drop(_chosen(letters, **choice), reason)}.")


def _chosen(
    letters: "DeadLetters",
    ids: tuple[str, ...],
    service: str | None,
    error: str | None,
    everything: bool,
) -> "tuple[str, ...] | pd.DataFrame":
    if ids:
        return ids
    if not (service or error or everything):
        raise click.UsageError("Say which: ids, --service, --error or --all.")
    groups = letters.groups(service)
    return groups if error is None else groups[groups.error.map(cell) == error]  # as `list` shows
