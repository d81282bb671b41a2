"""The `ecom` command: a shop that stays, orders from a terminal, and replays of real ones."""

import json
import os
import signal
import time
from contextlib import closing, suppress
from dataclasses import asdict
from functools import partial
from importlib.metadata import entry_points
from typing import Any

import click
from click.shell_completion import get_completion_class

from ecom.cli import options
from ecom.cli.dead import dead
from ecom.cli.options import Named
from ecom.cli.records import COMMANDS
from ecom.errors import ShopError
from ecom.settings import Settings, all_installed

SETTINGS = {"max_content_width": 88, "help_option_names": ["-h", "--help"]}
MAP = {
    "A shop": ["up", "status", "watch", "dead", "gateway", "down"],
    "Its orders": ["catalogue", "stock", "place", "cancel", "orders"],
    "Its records": ["history", "events", "emails", "books"],
    "Experiments": ["replay", "sweep"],
    "Proofs": ["explore", "chaos", "bench"],
    "A saga of your own": ["new"],
    "What lies in docs/": ["documents", "pictures"],
    "This command": ["completion"],
}


class Friendly(click.Group):
    """Shows an error that a user can mend as one sentence on stderr, with exit status 1."""

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Its settings are each command's, also of one that is looked at by itself."""
        cmd.context_settings = SETTINGS | cmd.context_settings
        super().add_command(cmd, name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Commands by purpose, each with its whole first sentence."""
        for room, names in MAP.items():
            known = (self.commands[name] for name in names if name in self.commands)
            with formatter.section(room):
                formatter.write_dl([(it.name, it.get_short_help_str(120)) for it in known])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with all_installed():
                return super().invoke(ctx)
        except ShopError as error:
            raise click.ClickException(options.plain(str(error))) from error
        except OSError as error:
            if error.filename is None:  # not about a file that was named
                raise
            raise click.ClickException(f"{error.filename!r}: {error.strerror}.") from error


@click.group(cls=Friendly, context_settings=SETTINGS)
@click.version_option(package_name="ecom")
def main() -> None:
    """A shop of five services that agree without a coordinator: the Saga pattern on RabbitMQ.

    Start with `ecom up` in one terminal; in another, `ecom place ada@example.com TEAPOT=1`, then
    `ecom orders`.
    The broker is a private one, unless ECOM_AMQP_URL names yours.
    """


for command in (dead, *COMMANDS):
    main.add_command(command)
for point in entry_points(group="ecom.commands"):  # study commands, which other packages bring
    with suppress(ModuleNotFoundError):  # e.g. the benchmark, which lives in the checkout only
        main.add_command(point.load(), point.name)


@main.command()
@click.option(
    "--stock", "lines", multiple=True, metavar="SKU=UNITS", help="Instead of the catalogue."
)
@click.option("--hold-seconds", type=float, default=Settings.hold_seconds, show_default=True)
@options.of_shop
def up(lines: tuple[str, ...], hold_seconds: float, shop: Named) -> None:
    """Open a shop that keeps its orders, and keep it running.

    Ctrl-C or `ecom down` closes it; the next `ecom up` goes on where it was. A service that dies is
    started again.
    """
    from ecom.shop.folder import token_file
    from ecom.shop.shop import Shop

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        shelves = options.units(lines) or None
        folder = shop.folder if shop.is_given else None
        with Shop(shelves, name=shop.name, folder=folder, hold_seconds=hold_seconds) as opened:
            click.echo(
                f"{opened!r}.\nOrders are accepted at {opened.url}/orders, with the token "
                f"in {token_file(opened.folder)}.\nCtrl-C closes the shop."
            )
            while True:
                opened.processes.revive(partial(click.echo, err=True))
                time.sleep(0.5)
    except KeyboardInterrupt:
        click.echo("Closed.")


@main.command()
@options.of_shop
def down(shop: Named) -> None:
    """Close the shop that `ecom up` keeps running, wherever that is."""
    from ecom.harness.workspace import holder_of

    pid = holder_of(shop.folder)
    if pid is None:
        click.echo(f"Shop {shop.name!r} is not open.")
        return
    os.kill(pid, signal.SIGTERM)
    while holder_of(shop.folder) is not None:
        time.sleep(0.05)
    click.echo(f"Shop {shop.name!r} is closed.")


@main.command()
@options.of_shop
def watch(shop: Named) -> None:
    """Watch orders flow through a shop that is up, until it closes or Ctrl-C.

    Shows the orders by state, what waits in queues, outboxes and effects, retries, dead letters,
    and events a second; ends with the shop's status.
    """
    from ecom.harness.diagrams.live import EVERY, View, glance
    from ecom.harness.workspace import holder_of
    from ecom.shop.folder import monitor

    if holder_of(shop.folder) is None:
        raise ShopError(f"Shop {shop.name!r} is not open: `ecom up` opens it.")
    with monitor(shop.folder) as looking:
        with closing(View(looking)) as view, suppress(KeyboardInterrupt):
            while holder_of(shop.folder) is not None:
                view.update()
                time.sleep(EVERY)
        click.echo(glance(looking))


@main.command()
@options.of_shop
@options.as_json
def status(shop: Named, as_json: bool) -> None:
    """Show what runs, what waits, and how the orders stand.

    By service: events not yet handled, events not yet sent, effects not yet done, what has failed
    and is tried again (events and effects), and the dead letters that lie there (`ecom dead
    list`). Below: the retry policies.
    """
    from ecom.cli.status import status_of

    state = status_of(shop.kept)
    click.echo(json.dumps(asdict(state)) if as_json else str(state))


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what completes commands and options: eval "$(ecom completion bash)"."""
    complete = get_completion_class(shell)(main, {}, "ecom", "_ECOM_COMPLETE")
    click.echo(complete.source())
