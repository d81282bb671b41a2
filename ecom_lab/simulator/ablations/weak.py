"""What weak runtimes are made of."""

from collections.abc import Iterable, Iterator
from typing import Any

from ecom.runtime.messages import Commit, Input, Output, PublisherUp
from ecom.runtime.runtime import Runtime
from ecom.stores.base import Transaction


class HastyRuntime(Runtime):
    """Carries outputs of one kind out before all others. (The commit itself comes later, then.)"""

    first: type

    def step(self, inputs: Iterable[Any], now: float) -> Iterator[Output]:
        outputs = list(super().step(inputs, now))
        yield from (output for output in outputs if type(output) is self.first)
        yield from (output for output in outputs if type(output) is not self.first)


class SpoilingRuntime(Runtime):
    """Does something wrong in each transaction, just before the commit."""

    def step(self, inputs: Iterable[Any], now: float) -> Iterator[Output]:
        for output in super().step(inputs, now):
            if type(output) is Commit:
                self.spoil(output.transaction, now)
            yield output

    def spoil(self, tx: Transaction, now: float) -> None:
        """What goes wrong."""
        raise NotImplementedError


class StartingRuntime(Runtime):
    """Something is amiss when a process starts (not when it merely connects again)."""

    def _take(self, it: Input, tx: Transaction, now: float) -> None:
        memory = self.volatile()
        super()._take(it, tx, now)
        if type(it) is PublisherUp and memory.outbox.last == memory.effects.last == 0:
            self.start(tx)

    def start(self, tx: Transaction) -> None:
        """What goes wrong."""
        raise NotImplementedError
