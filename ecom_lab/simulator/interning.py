"""Numbers for values, so that states are small; above all, for messages and queues."""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple


class Message(NamedTuple):
    """One message on its way. `exchange` is "events", or "" for a queue by name (`key`); `user` is
    who published it, for whom the broker vouches."""

    exchange: str
    key: str
    headers: dict[str, Any]
    body: bytes
    user: str | None = None

    @property
    def subject(self) -> str:
        """The saga that this message belongs to, if it says so."""
        return self.headers.get("ce-subject", "")


Change = Callable[[int], int]  # what a change makes of values, by their numbers


class Numbers:
    """Values of one kind, by number: equal values, which have equal keys, share one."""

    def __init__(self, key: Callable[[Any], Any] = lambda value: value) -> None:
        self.values: list[Any] = []
        self._key = key
        self._numbers: dict[Any, int] = {}
        self.change = cache(self._change)

    def number(self, value: Any) -> int:
        """The number of this value."""
        number = self._numbers.setdefault(self._key(value), len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number

    def _change(self, how: Callable[..., Any], *what: Any) -> Change:
        """The change of a value to `how(value, *what)`; equal changes are one. What it makes of
        each is found out when it is first asked for."""
        return cache(lambda number: self.number(how(self.values[number], *what)))
