"""`ecom pictures`: the pictures of `docs/`, from the code, and from two orders of a real shop."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ecom.cli.options import Place

if TYPE_CHECKING:
    from ecom.harness.diagrams.picture import Picture
    from ecom.shop.shop import Shop

STOCK = {"TEAPOT": 5, "MOON": 0}  # of the shop that `lived` needs: nobody has ordered there yet


@click.command()
@click.argument("folder", default="docs", type=Place(file_okay=False))
def pictures(folder: Path) -> None:
    """Draw the pictures of the documents into FOLDER (docs).

    The choreography and the states are read from the code; two sequence diagrams come from orders
    of a shop that is opened for it.
    """
    from ecom.shop.shop import Shop

    folder.mkdir(parents=True, exist_ok=True)
    with Shop(STOCK, outside="files") as shop:
        for name, picture in (*drawn(), *lived(shop)):
            picture.save(folder / name)
            click.echo(f"{folder / name}: {picture.title}")


def drawn() -> Iterator[tuple[str, "Picture"]]:
    """File name and picture of what follows from the code."""
    from ecom.sagas.choreography import HOLD_SECONDS
    from ecom.sagas.orchestration import orchestration, steps
    from ecom_lab.docs.choreography import Choreography
    from ecom_lab.docs.coordination import machine as coordination
    from ecom_lab.docs.states import state_machines
    from ecom_lab.shop import SAGA

    yield "choreography.svg", Choreography(SAGA)
    for table, machine in state_machines(SAGA).items():
        yield f"{table.removesuffix('s')}_states.svg", machine
    yield "orchestration.svg", Choreography(orchestration())
    yield "coordination_states.svg", coordination(steps(HOLD_SECONDS))


def lived(shop: "Shop") -> Iterator[tuple[str, "Picture"]]:
    """File name and picture of what became of two orders in this new shop."""
    order = shop.place("ada@example.com", {"MOON": 1})
    shop.settle()
    yield "out_of_stock.svg", shop.history(order)
    order = shop.place("ada@example.com", {"TEAPOT": 2})
    shop.settle()
    shop.cancel(order)
    shop.settle()
    yield "cancelled_after_confirmation.svg", shop.history(order)
