"""How fast the simulator's search goes through the states of a small world."""

import logging
from collections.abc import Callable
from typing import Any

from ecom_lab.simulator.checker import Explorer
from ecom_lab.simulator.model import Model
from ecom_lab.simulator.shop.scenario import Wish, shop

MAX_STATES = 20_000  # enough to be steady


def explorer(step: Callable[[], None]) -> dict[str, Any]:
    """States, transitions and transitions per second: one customer who may cancel, two faults."""
    world = Model(shop((Wish(may_cancel=True),), faults=2))
    logging.disable(logging.WARNING)  # what fails there fails on purpose
    try:
        found = Explorer(world, max_states=MAX_STATES).run()
    finally:
        logging.disable(logging.NOTSET)
    step()
    rate = round(found.transitions / found.seconds)
    counts = {"states": found.states, "transitions": found.transitions}
    return {**counts, "transitions_per_second": rate}
