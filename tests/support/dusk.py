"""The street lamps' services in one thread, each event given to whoever listens."""

from collections import deque
from collections.abc import Mapping
from typing import Any

from lamps import LevelSet, lamps

from ecom.contract.topology import echo
from ecom.runtime.messages import (
    Announce,
    Commit,
    Delivery,
    Perform,
    Performed,
    Publish,
    PublisherUp,
    Tick,
)
from ecom.runtime.runtime import Runtime
from ecom.stores.base import Store

SAGA = lamps()


class Dusk:
    """Runs until nothing is left to do; what the lamps were asked for is in `switched`."""

    def __init__(self, stores: Mapping[str, Store]) -> None:
        self.stores = stores
        self.runtimes = {
            name: Runtime(SAGA, name, store, "1", lambda: 0.5) for name, store in stores.items()
        }
        self.switched: list[Any] = []
        self.inputs = deque((name, PublisherUp()) for name in SAGA.services)

    def run(self, now: float) -> None:
        while self.inputs:
            name, given = self.inputs.popleft()
            self.step(name, given, now)

    def step(self, name: str, given: Any, now: float) -> None:
        """One service handles one input."""
        for output in self.runtimes[name].step([given], now):
            self.carry_out(name, output)

    def carry_out(self, name: str, output: Any) -> None:
        if isinstance(output, Commit):
            output.transaction.commit()
        elif isinstance(output, Publish):
            key, row = output.row.type, output.row
            for listener in SAGA.contract.services:
                if key in SAGA.contract.consumed_by(listener):
                    event = Delivery(1, 1, "lamps.events", key, row.headers, row.body)
                    self.inputs.append((listener, event))
        elif isinstance(output, Announce) and output.key == echo(name):
            back = Delivery(1, 1, "lamps.events", output.key, {}, output.body)
            self.inputs += ((name, back), (name, Tick()))
        elif isinstance(output, Perform):
            self.switched.append(output.effect)
            result = LevelSet(output.effect.street)
            self.inputs.append((name, Performed(output.row.seq, result)))
