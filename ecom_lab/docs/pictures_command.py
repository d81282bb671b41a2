"""`ecom pictures`: the pictures of `docs/`, drawn anew."""

from pathlib import Path

import click

from ecom.cli.options import Place


@click.command()
@click.argument("folder", default="docs", type=Place(file_okay=False))
def pictures(folder: Path) -> None:
    """Draw the pictures of the documents into FOLDER (docs).

    The choreography and the states are read from the code; two sequence diagrams come from orders
    of a shop that is opened for it.
    """
    from ecom.shop.shop import Shop
    from ecom_lab.docs.pictures import STOCK, drawn, lived

    folder.mkdir(parents=True, exist_ok=True)
    with Shop(STOCK, outside="files") as shop:
        for name, picture in (*drawn(), *lived(shop)):
            picture.save(folder / name)
            click.echo(f"{folder / name}: {picture.title}")
