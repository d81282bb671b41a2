"""The simulated broker: what a queue does with its messages, as plain functions on plain data.

A queue is a tuple of what it holds. Messages of one *lane* (published by one connection) come first
in, first out; those of different lanes in any order, as each connection's messages take a way of
their own. A suite holds all this to the behaviour of a real RabbitMQ.
"""

from collections.abc import Iterable
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
    lane: Any = 0
    returned: int = 0


Queue = tuple[Held, ...]  # by lane, and in each lane in order


def publish(queue: Queue, held: Held) -> Queue:
    """The queue with one more message, the last of its lane."""
    return _in_lanes((*queue, held))


def deliver(queue: Queue, held: Held) -> Queue:
    """The queue without a message that a consumer has now."""
    at = queue.index(held)
    return (*queue[:at], *queue[at + 1 :])


def give_back(queue: Queue, held: Held) -> Queue:
    """The queue with a delivery that was not acknowledged, where it was, and marked."""
    return _in_lanes((held._replace(returned=held.returned + 1), *queue))


def delete(_: Queue) -> Queue:
    """What is left of a queue that is deleted and made anew."""
    return ()


def is_set_aside(held: Held, limit: int | None) -> bool:
    """Whether an unacknowledged delivery has come back too often, and is to be a dead letter."""
    return limit is not None and held.returned >= limit


def headers_of(headers: dict[str, Any], returned: int) -> dict[str, Any]:
    """The headers of a delivery: quorum queues say how often it came back."""
    return headers | {"x-delivery-count": returned} if returned else headers


def route(key: str, bindings: Iterable[tuple[str, str]]) -> list[str]:
    """The queues whose bindings (queue, pattern) match; none: the message is returned.

    A pattern is a routing key, `#` for all, or `*.` and the rest of a key of two words.
    """
    patterns = {"#", key, f"*.{key.partition('.')[2]}"}
    return list(dict.fromkeys(queue for queue, pattern in bindings if pattern in patterns))


def _in_lanes(held: Iterable[Held]) -> Queue:
    return tuple(sorted(held, key=lambda each: each.lane))
