"""How a shop is known to be settled: by what is in small tables, however much has happened."""

from shuffled import Shuffled

from ecom.harness.quiescence import Monitor
from ecom_lab.shop import SAGA, SERVICES


def looked(world):
    """The look at a world's databases, and how many steps of SQLite's machine it takes."""
    steps = []
    with Monitor(SAGA, world.folder) as monitor:
        monitor.look()  # so that all are open, and their statements compiled
        for name in SERVICES:
            monitor[name]._db.set_progress_handler(lambda: steps.append(1), 1)
        return monitor.look(), len(steps)


def test_to_see_that_all_is_settled_costs_no_more_after_a_long_history(tmp_path):
    """Nor does what was handled make it look otherwise: one event that is lost is still missed."""
    world = Shuffled(tmp_path, seed=1)
    costs = []
    for orders in (range(10), range(10, 200)):
        for n in orders:
            world.place(n, card="declined" if n % 2 else "4242")
        world.finish()
        look, cost = looked(world)
        assert look.nothing_left()
        costs.append(cost)
    assert costs[1] <= 1.1 * costs[0]
    world.hold_back("order.created")
    world.place(200, card="4242")
    world.finish()
    assert looked(world)[0].awaited() == ["inventory has not handled 1 order.created"]
