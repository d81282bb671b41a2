"""Words in pictures: what people call a message."""

import re

from msgspec import Struct

from ecom.contract.event import Event


def in_words(message: type[Struct]) -> str:
    """A message as people call it: an event by its key, `HoldDeadline` as `hold deadline`."""
    if issubclass(message, Event):
        return message.key
    return " ".join(re.findall("[A-Z][a-z]*", message.__name__)).lower()
