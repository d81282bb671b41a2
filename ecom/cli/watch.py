"""`ecom watch`: the live view of a shop that is up in another terminal."""

import time
from contextlib import suppress

import click


@click.command()
@click.option("--name", default="ecom", show_default=True, help="Which shop.")
def watch(name: str) -> None:
    """Watch orders flow through a shop that is up, until it closes or Ctrl-C.

    Shows the orders by state, what waits in queues, outboxes and effects, retries, dead letters,
    and events a second; ends with how the shop stands.
    """
    from ecom.errors import ShopError
    from ecom.harness.diagrams.live.drawing import EVERY
    from ecom.harness.diagrams.live.glance import glance
    from ecom.harness.diagrams.live.view import View
    from ecom.harness.workspace import folder_of, occupant

    folder = folder_of(name)
    if occupant(folder) is None:
        raise ShopError(f"Shop {name!r} is not open: `ecom up` opens it.")
    with View(folder) as view, suppress(KeyboardInterrupt):
        while occupant(folder) is not None:
            view.update()
            time.sleep(EVERY)
    click.echo(glance(folder))
