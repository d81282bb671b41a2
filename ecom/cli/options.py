"""Options that several commands have, and the shop that one of them names."""

from pathlib import Path

import click

from ecom.errors import ShopError
from ecom.telemetry.logs import one_line

of_shop = click.option("--name", default="ecom", show_default=True, help="Which shop.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def say(text: str) -> None:
    """Print lines in which something of an event, or of a customer, may be: text stays text,
    whatever a terminal would do about it."""
    click.echo("\n".join(map(one_line, text.split("\n"))))


def shop_folder(name: str) -> Path:
    """The folder of the shop of this name. Raises `ShopError` if it has never been open."""
    from ecom.harness.workspace import folder_of

    folder = folder_of(name)
    if not (folder / "order.db").exists():
        raise ShopError(f"There is no shop {name!r} yet: `ecom up` opens it.")
    return folder
