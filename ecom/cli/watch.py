"""`ecom watch`: the live view of a shop that is up in another terminal."""

import time
from contextlib import suppress

import click

from ecom.cli.options import folder_named, of_shop


@click.command()
@of_shop
def watch(name: str) -> None:
    """Watch orders flow through a shop that is up, until it closes or Ctrl-C.

    Shows the orders by state, what waits in queues, outboxes and effects, retries, dead letters,
    and events a second; ends with the shop's status.
    """
    from ecom.errors import ShopError
    from ecom.harness.diagrams.live.glance import EVERY, glance
    from ecom.harness.diagrams.live.view import View
    from ecom.harness.workspace import holder_of
    from ecom.shop.live import monitor

    folder = folder_named(name)
    if holder_of(folder) is None:
        raise ShopError(f"Shop {name!r} is not open: `ecom up` opens it.")
    with monitor(folder) as looking:
        with View(looking) as view, suppress(KeyboardInterrupt):
            while holder_of(folder) is not None:
                view.update()
                time.sleep(EVERY)
        click.echo(glance(looking))
