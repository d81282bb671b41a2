"""Numbers for values, so that states are small; above all, for messages and queues."""

from collections.abc import Callable, Iterable
from typing import Any

from ecom.contract.permissions import user
from ecom.runtime.messages import Announce
from ecom.runtime.tables import Outbox
from ecom_lab.simulator.broker import Message


class Numbers:
    """Values of one kind, by number."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._numbers: dict[Any, int] = {}
        self._changed: dict[tuple[Any, ...], int] = {}

    def number(self, value: Any) -> int:
        """The number of this value; equal values share one."""
        number = self._numbers.setdefault(value, len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number

    def changed(self, number: int, change: Callable[..., Any], *how: Any) -> int:
        """The number of what this change makes of a value; remembered, as it comes often."""
        key = number, change, how
        after = self._changed.get(key)
        if after is None:
            after = self._changed[key] = self.number(change(self.values[number], *how))
        return after


class MessageTable:
    """Every message there has ever been in one shop, by number."""

    def __init__(self, shop: str) -> None:
        self.values: list[Message] = []
        self._shop = shop
        self._numbers: dict[str, int] = {}

    def number(self, message: Message) -> int:
        """The number of this message; equal messages share one."""
        number = self._numbers.setdefault(repr(message), len(self.values))
        if number == len(self.values):
            self.values.append(message)
        return number

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
