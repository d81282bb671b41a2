"""Events: what happened to one saga, in the past tense, never changed afterwards."""

from typing import ClassVar

from msgspec import Struct


class Event(Struct, frozen=True):
    """The base of a saga's events. The first field names the saga that an event belongs to.

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
