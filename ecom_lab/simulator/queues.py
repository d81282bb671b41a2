"""What lies in the queues, as numbers: an entry is a message and how often it has come back.

The order of entries in a queue is not kept, since any of them may be delivered next.
"""

from collections.abc import Iterable

from ecom_lab.simulator.interning import Numbers

COUNTED = 7  # deliveries that came back are counted up to here


def entry_of(message: int, returned: int = 0) -> int:
    """The number of an entry."""
    return message * (COUNTED + 1) + returned


def held_in(entry: int) -> tuple[int, int]:
    """The message, and how often it has come back."""
    return divmod(entry, COUNTED + 1)


class Queues(Numbers):
    """The contents of queues, by number."""

    def __init__(self) -> None:
        super().__init__()
        self._after: dict[tuple, int] = {}

    def plus(self, queue: int, entry: int) -> int:
        """The queue with one more entry."""
        key = queue, entry
        number = self._after.get(key)
        if number is None:
            number = self._after[key] = self.number(tuple(sorted((*self.values[queue], entry))))
        return number

    def without(self, queue: int, held: Iterable[tuple[int, int]]) -> int:
        """The queue without these."""
        key = queue, held
        number = self._after.get(key)
        if number is None:
            entries = list(self.values[queue])
            for message, returned in held:
                entries.remove(entry_of(message, returned))
            number = self._after[key] = self.number(tuple(entries))
        return number
