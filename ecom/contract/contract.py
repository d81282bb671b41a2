"""A contract: which events the services of one saga publish, and which service consumes which."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from msgspec import Struct

EVERYTHING = "#"  # consumes every event, as the audit log does


class Event(Struct, frozen=True):
    """The base of a saga's events: facts in the past tense, never changed. The first field names
    the saga that an event belongs to.

    Readers ignore fields they do not know, so a field may be added (with a default); to change or
    remove one, add a new event type.
    """

    key: ClassVar[str]  # the routing key
    producer: ClassVar[str]  # the one service that may publish it
    version: ClassVar[int] = 1
    failure: ClassVar[bool] = False  # published only when something failed, or is being undone


def subject_of(message: Struct) -> str:
    """The saga that a message (event, effect, timer, result) belongs to: its first field."""
    subject: str = getattr(message, message.__struct_fields__[0])
    return subject


@dataclass(frozen=True, eq=False)
class Contract:
    """What services may publish and consume. Raises `ValueError` where it contradicts itself.

    `events` are ordered so that each comes after all events that can cause it. `listens` is
    service → the routing keys it consumes, or `EVERYTHING`, or none.
    """

    name: str
    events: tuple[type[Event], ...]
    listens: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        if len(self.by_key) < len(self.events):
            raise ValueError("two events have one routing key")
        for event in self.events:
            if event.producer not in self.listens:
                raise ValueError(f"{event.key} is published by {event.producer!r}: no such service")
            if not event.key.startswith(f"{event.producer}."):
                raise ValueError(f"{event.key} must begin with its producer: {event.producer}.…")
        for service, keys in self.listens.items():
            if unknown := set(keys) - {EVERYTHING} - self.by_key.keys():
                raise ValueError(f"{service} listens to {min(unknown)!r}: there is no such event")

    @cached_property
    def by_key(self) -> dict[str, type[Event]]:
        """The events by routing key."""
        return {event.key: event for event in self.events}

    @property
    def subject_field(self) -> str:
        """The field that names the saga an event belongs to: the first one."""
        return self.events[0].__struct_fields__[0]

    @property
    def subject(self) -> str:
        """What one saga is about, for people: of `order_id`, "order"."""
        return self.subject_field.removesuffix("_id")

    @property
    def services(self) -> tuple[str, ...]:
        """The names of the services."""
        return tuple(self.listens)

    def consumes_all(self, service: str) -> bool:
        """Whether a service consumes every event."""
        return EVERYTHING in self.listens[service]

    def consumed_by(self, service: str) -> tuple[str, ...]:
        """The routing keys of the events that a service consumes."""
        return tuple(self.by_key) if self.consumes_all(service) else self.listens[service]

    def published_by(self, service: str) -> tuple[str, ...]:
        """The routing keys of the events that a service may publish."""
        return tuple(key for key, event in self.by_key.items() if event.producer == service)

    def listeners(self, key: str) -> tuple[str, ...]:
        """The services that consume this event by its key: not those that consume everything."""
        return tuple(service for service, keys in self.listens.items() if key in keys)
