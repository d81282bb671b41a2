"""The pictures of `docs/`: from the code alone, and from two orders of a real shop."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ecom.harness.diagrams.picture import Picture
from ecom.sagas.choreography import HOLD_SECONDS, choreography
from ecom.sagas.orchestration import orchestration, steps
from ecom_lab.docs.choreography import Choreography
from ecom_lab.docs.coordination import machine as coordination
from ecom_lab.docs.states import state_machines

if TYPE_CHECKING:
    from ecom.shop.shop import Shop

STOCK = {"TEAPOT": 5, "MOON": 0}  # of the shop that `lived` needs: nobody has ordered there yet


def drawn() -> Iterator[tuple[str, Picture]]:
    """File name and picture of what follows from the code."""
    saga = choreography()
    yield "choreography.svg", Choreography(saga)
    for table, machine in state_machines(saga).items():
        yield f"{table.removesuffix('s')}_states.svg", machine
    yield "orchestration.svg", Choreography(orchestration())
    yield "coordination_states.svg", coordination(steps(HOLD_SECONDS))


def lived(shop: "Shop") -> Iterator[tuple[str, Picture]]:
    """File name and picture of what became of two orders in this new shop."""
    order = shop.place("ada@example.com", {"MOON": 1})
    shop.settle()
    yield "out_of_stock.svg", shop.history(order)
    order = shop.place("ada@example.com", {"TEAPOT": 2})
    shop.settle()
    shop.cancel(order)
    shop.settle()
    yield "cancelled_after_confirmation.svg", shop.history(order)
