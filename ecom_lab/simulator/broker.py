"""The simulated broker: what a queue does with its messages, as plain functions on plain data; and
how that changes a world's state.

A queue is a tuple of what it holds. Messages of one *lane* (published by one connection) come first
in, first out; those of different lanes in any order, as each connection's messages take a way of
their own. A suite holds all this to the behaviour of a real RabbitMQ.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple

from ecom.contract.topology import echo, is_control

COUNTED = 7  # deliveries that came back are counted up to here

Lane = tuple[int, int, str]  # of one process's messages: service, replica; perhaps the saga
# Of an echo, which is behind what is in the queue; and behind what comes there later, too, as if it
# had been published then.
LAST: Lane = (99, 0, "")
STRAY: Lane = (-1, 0, "")  # of what nobody here has published
Model = Any  # that of `ecom_lab.simulator.model`, which asks this
Change = Callable[[int], int]  # what a change makes of values, by their numbers
Changed = tuple[int, Change]  # where in a state, and how


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


def _in_lanes(held: Iterable[Held]) -> Queue:
    return tuple(sorted(held, key=lambda each: each.lane))


def delete(_: Queue) -> Queue:
    """What is left of a queue that is deleted and made anew."""
    return ()


def is_set_aside(held: Held, limit: int | None) -> bool:
    """Whether an unacknowledged delivery has come back too often, and is to be a dead letter."""
    return limit is not None and held.returned >= limit


def route(key: str, bindings: Iterable[tuple[str, str]]) -> list[str]:
    """The queues whose bindings (queue, pattern) match; none: the message is returned.

    A pattern is a routing key, `#` for all, or `*.` and the rest of a key of two words.
    """
    patterns = {"#", key, f"*.{key.partition('.')[2]}"}
    return list(dict.fromkeys(queue for queue, pattern in bindings if pattern in patterns))


# ── how that changes the state of a world ─────────────────────────────────────────────────────
class Numbers:
    """Values of one kind by number, so that states are small: equal values, which have equal keys,
    share one."""

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


def comes_back(world: Model, who: int, held: Held) -> Changed:
    """A delivery that was not acknowledged returns to its queue, or is set aside."""
    it = world.scenario
    if it.is_counted and is_set_aside(held, it.limit):
        return _set_aside(world, held.message)
    counts = it.is_counted and held.returned < COUNTED
    back = held if counts else held._replace(returned=held.returned - 1)
    return world.queue_after(who, give_back, back)


def published(world: Model, message: int, who: int, replica: int) -> Iterator[Changed]:
    """A message comes into the queues that are bound for it."""
    it = world.messages.values[message]
    if not it.exchange:
        yield _set_aside(world, message)
        return
    for name in route(it.key, world.bindings):
        listener = world.names.index(name)
        if not is_control(it.key) or listener in world.core:
            held = Held(message, _lane(world, name, message, who, replica))
            yield world.queue_after(listener, publish, held)


def _set_aside(world: Model, message: int) -> Changed:
    return world.dead, world.queues.change(publish, Held(message, (message, 0, "")))


def _lane(world: Model, listener: str, message: int, who: int, replica: int) -> Lane:
    if listener in world.scenario.unordered:
        return message, 0, ""
    it = world.messages.values[message]
    if it.key == echo(listener):
        return LAST
    split = listener in world.scenario.by_subject
    return who, replica, it.subject if split else ""
