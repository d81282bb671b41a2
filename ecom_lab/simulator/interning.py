"""Numbers for values, so that states are small; above all, for messages and queues."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, NamedTuple

from ecom.contract.topology import user
from ecom.runtime.messages import Announce
from ecom.runtime.tables import Outbox


class Message(NamedTuple):
    """One message on its way. `exchange` is "events", or "" for a queue by name (`key`); `user` is
    who published it, for whom the broker vouches."""

    exchange: str
    key: str
    headers: dict[str, Any]
    body: bytes
    user: str | None = None


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


class MessageTable(Numbers):
    """Every message there has ever been in one shop, by number."""

    def __init__(self, shop: str) -> None:
        super().__init__(key=repr)
        self._shop = shop

    def subject(self, number: int) -> str:
        """The saga that this message belongs to, if it says so."""
        return self.values[number].headers.get("ce-subject", "")

    def stamp(self, service: str, outputs: Iterable[Outbox | Announce]) -> tuple[int, ...]:
        """The numbers of the messages that these are, as a service publishes them."""
        return tuple(self.number(self._message(service, output)) for output in outputs)

    def _message(self, service: str, output: Outbox | Announce) -> Message:
        who = user(self._shop, service)
        if isinstance(output, Announce):
            return Message("events", output.key, {}, output.body, who)
        events = output.exchange == "events"
        where = ("events", output.type) if events else ("", f"{service}.dead")
        return Message(*where, output.headers, output.body, who)
