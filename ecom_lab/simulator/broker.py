"""The simulated broker: what a queue does with its messages, as plain functions on plain data.

A message in a queue is a `Held`: the message and how often it has come back. The explorer lets a
queue deliver any message it holds next, which is more than RabbitMQ does; everything else is held
to the behaviour of a real one by a suite of its own.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple


class Message(NamedTuple):
    """One message on its way. `exchange` is "events", or "" for a queue by name (`key`); `user` is
    who published it, for whom the broker vouches."""

    exchange: str
    key: str
    headers: dict[str, Any]
    body: bytes
    user: str | None = None


class Held(NamedTuple):
    """A message in a queue; `returned` counts the deliveries that were not acknowledged."""

    message: Any
    returned: int = 0


def headers_of(headers: dict[str, Any], returned: int) -> dict[str, Any]:
    """The headers of a delivery: quorum queues say how often it came back."""
    return headers | {"x-delivery-count": returned} if returned else headers


def route(key: str, bindings: Iterable[tuple[str, str]]) -> list[str]:
    """The queues whose bindings (queue, pattern) match; `#` matches all. Empty: returned."""
    return list(dict.fromkeys(queue for queue, pattern in bindings if pattern in ("#", key)))


def give_back(held: Held, limit: int) -> Held | None:
    """What becomes of an unacknowledged delivery; None when it is to be dead-lettered."""
    return Held(held.message, held.returned + 1) if held.returned < limit else None


class Broker:
    """A broker with named queues, first in first out, for one publisher and its consumers."""

    def __init__(self, bindings: Iterable[tuple[str, str]], limit: int, dead: str) -> None:
        self._bindings = list(bindings)
        self._limit = limit
        self._dead = dead  # the queue of dead letters
        self.queues: dict[str, list[Held]] = {queue: [] for queue, _ in self._bindings}
        self.queues[dead] = []

    def publish(self, message: Message) -> list[str]:
        """What the publisher hears, in order: `returned` if no queue takes it, then `confirmed`."""
        if message.exchange:
            queues = route(message.key, self._bindings)
        else:
            queues = [message.key] if message.key in self.queues else []
        for queue in queues:
            self.queues[queue].append(Held(message))
        return ["confirmed"] if queues else ["returned", "confirmed"]

    def channel(self, queue: str) -> "Channel":
        """A consumer's channel."""
        return Channel(self, queue)

    def take_back(self, queue: str, unacked: Iterable[Held]) -> None:
        """Put deliveries back where they were, at the head, or among the dead letters."""
        kept = []
        for held in unacked:
            again = give_back(held, self._limit)
            if again is None:
                self.queues[self._dead].append(Held(held.message))
            else:
                kept.append(again)
        self.queues[queue][:0] = kept


class Channel:
    """One consumer: deliveries in order, each unacknowledged until said otherwise."""

    def __init__(self, broker: Broker, queue: str) -> None:
        self._broker = broker
        self._queue = queue
        self._tag = 0
        self._unacked: dict[int, Held] = {}

    def get(self) -> tuple[int, Held] | None:
        """The next delivery: its tag, and the message with its history; None if there is none."""
        waiting = self._broker.queues[self._queue]
        if not waiting:
            return None
        self._tag += 1
        self._unacked[self._tag] = waiting.pop(0)
        return self._tag, self._unacked[self._tag]

    def ack(self, tag: int) -> None:
        """Acknowledge every delivery up to this tag."""
        self._settle(lambda each: each <= tag)

    def reject(self, tag: int) -> None:
        """Give one delivery back."""
        self._broker.take_back(self._queue, self._settle(lambda each: each == tag))

    def lose(self) -> None:
        """The connection is gone: everything unacknowledged goes back."""
        self._broker.take_back(self._queue, self._settle(lambda _: True))

    def _settle(self, which: Callable[[int], bool]) -> list[Held]:
        return [self._unacked.pop(tag) for tag in sorted(self._unacked) if which(tag)]
