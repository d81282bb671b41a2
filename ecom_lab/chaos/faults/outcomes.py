"""The random worlds in which the simulator compares sagas, for real, while services are killed:
each order ends as the table of outcomes says."""

from collections.abc import Iterator
from random import Random

from ecom.services.order import Order
from ecom.stores.reader import Reader
from ecom_lab.chaos.fault import salvo
from ecom_lab.chaos.faults import services
from ecom_lab.chaos.testbed import Testbed
from ecom_lab.chaos.workload import Customer
from ecom_lab.simulator.shop.differential import drawn, rows_of

GIVEN_UP_SECONDS = 180.0  # by then a capture that always fails has been given up


def customers(worlds: int, seed: int) -> list[Customer]:
    """Those of so many worlds. Of those who may cancel, half do."""
    chance, found = Random(seed), []
    for world in range(worlds):
        for address, row in rows_of(*drawn(Random(world))).items():
            cancels = row.may_cancel and chance.random() < 0.5
            found.append(Customer(f"w{world}-{address}", row.card, ((f"SKU-{world}", 1),), cancels))
    return found


def stock(worlds: int) -> dict[str, int]:
    """Each world has a product of its own."""
    return {f"SKU-{world}": drawn(Random(world))[1] for world in range(worlds)}


def compare(bed: Testbed) -> Iterator[str]:
    """Customers of all worlds order at once, services are killed, and holds are short."""
    yield from salvo(services.kill, gap=(0.0, 1.0))(bed)
    bed.workload.finish(60)
    bed.shop.settle(GIVEN_UP_SECONDS)
    with Reader(bed.shop.folder) as read:
        orders = read["order"].rows(Order)
    for order in orders:
        world, _, address = order.customer.partition("-")
        row, end = rows_of(*drawn(Random(int(world[1:]))))[address], order.reason or order.state
        if end not in row.allowed:
            bed.problems.append(f"order {order.order_id} of {row} ended as {end}")
