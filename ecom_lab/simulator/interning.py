"""Numbers for values, so that states are small; above all, for messages."""

from collections.abc import Iterable
from typing import Any

from ecom.contract.permissions import user
from ecom.runtime.tables import Outbox
from ecom_lab.simulator.broker import Message


class Numbers:
    """Values of one kind, by number."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._numbers: dict[Any, int] = {}

    def number(self, value: Any) -> int:
        """The number of this value; equal values share one."""
        number = self._numbers.setdefault(value, len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number


class Post:
    """Every message there has ever been, by number."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._numbers: dict[str, int] = {}

    def number(self, message: Message) -> int:
        """The number of this message; equal messages share one."""
        number = self._numbers.setdefault(repr(message), len(self.messages))
        if number == len(self.messages):
            self.messages.append(message)
        return number

    def stamp(self, service: str, rows: Iterable[Outbox]) -> tuple[int, ...]:
        """The numbers of these rows, as a service publishes them."""
        return tuple(
            self.number(
                Message("events", row.type, row.headers, row.body, user("shop", service))
                if row.exchange == "events"
                else Message("", f"{service}.dead", row.headers, row.body, user("shop", service))
            )
            for row in rows
        )
