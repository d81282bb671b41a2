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
from ecom_lab.simulator.shop.outcomes import allowed, drawn, rows_of

GIVEN_UP_SECONDS = 180.0  # by then a capture that always fails has been given up


def customers(worlds: int, seed: int) -> list[Customer]:
    """Those of so many worlds. Of those who may cancel, half do."""
    chance, found = Random(seed), []
    for world in range(worlds):
        for address, (_, card, may_cancel) in rows_of(*drawn(Random(world))).items():
            cancels = may_cancel and chance.random() < 0.5
            found.append(Customer(f"w{world}-{address}", card, ((f"SKU-{world}", 1),), cancels))
    return found


def stock(worlds: int) -> dict[str, int]:
    """Each world has a product of its own."""
    return {f"SKU-{world}": drawn(Random(world))[1] for world in range(worlds)}


def away(bed: Testbed) -> str:
    """A service is away, perhaps for longer than a hold lasts."""
    service = bed.random.choice(bed.services)
    bed.kill(service)
    bed.wait(0.0, 2 * bed.hold_seconds)
    bed.start(service)
    return f"{service} away"


def compare(bed: Testbed) -> Iterator[str]:
    """Customers of all worlds order while services are killed, or away."""
    yield from salvo(services.kill, away)(bed)
    bed.workload.finish(60)
    bed.runner.settle(GIVEN_UP_SECONDS)
    with Reader(bed.runner.folder) as read:
        orders = read["order"].rows(Order)
    for order in orders:
        world, _, address = order.customer.partition("-")
        row, end = rows_of(*drawn(Random(int(world[1:]))))[address], order.reason or order.state
        if end not in allowed(*row):
            bed.problems.append(f"order {order.order_id} of {row} ended as {end}")
