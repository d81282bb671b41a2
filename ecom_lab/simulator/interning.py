"""Numbers for values, so that states are small; above all, for messages and queues."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ecom.contract.permissions import user
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


class Change(dict[int, int]):
    """What a change makes of values, by their numbers: each is found out when it is first asked
    for, and then costs no more than a look into a dictionary."""

    def __init__(self, of: "Numbers", how: Callable[..., Any], what: tuple[Any, ...]) -> None:
        self._of, self._how, self._what = of, how, what

    def __missing__(self, number: int) -> int:
        it = self._of
        self[number] = after = it.number(self._how(it.values[number], *self._what))
        return after


class Numbers:
    """Values of one kind, by number: equal values, which have equal keys, share one."""

    def __init__(self, key: Callable[[Any], Any] = lambda value: value) -> None:
        self.values: list[Any] = []
        self._key = key
        self._numbers: dict[Any, int] = {}
        self._changes: dict[tuple[Any, ...], Change] = {}

    def number(self, value: Any) -> int:
        """The number of this value."""
        number = self._numbers.setdefault(self._key(value), len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number

    def change(self, how: Callable[..., Any], *what: Any) -> Change:
        """The change of a value to `how(value, *what)`; equal changes are one."""
        key = how, what
        if key not in self._changes:
            self._changes[key] = Change(self, how, what)
        return self._changes[key]


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
