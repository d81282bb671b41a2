"""What a process keeps in memory between two steps, and so loses in a crash."""

from typing import Generic, NamedTuple, TypeVar

from msgspec import Struct

from ecom.runtime.tables import Effect, Outbox

OutRow = TypeVar("OutRow", Outbox, Effect)


class Window(Struct, Generic[OutRow], frozen=True):
    """What a replica knows of one table of outgoing rows (see `ecom.runtime.relay`)."""

    is_open: bool
    under_way: dict[int, OutRow] = {}  # by seq: taken on, and not known to be done
    last: int = 0  # its own rows up to this seq have been taken on
    behind: bool = True  # there may be others in the table than those being written


class Seen(NamedTuple):
    """What a listener saw of a stream at the last tally, if that was not right."""

    end: int = 0  # up to which number it knew of events
    first: int = 0  # that of the first that was missing …
    times: int = 0  # … at so many tallies in a row


class Gaps(Struct, frozen=True):
    """What is known of lost events (see `ecom.runtime.gap_detection`); all may be forgotten."""

    seen: dict[str, Seen] = {}  # by stream
    said: dict[str, int] = {}  # our last tally: stream → up to which number all are published
    alike: int = 0  # how often, since, one was due that would say the same
    answered: set[tuple[str, str]] = set()  # since then: whose questions, about which stream
    told: dict[str, float] = {}  # by producer: when the latest of its tallies was made


class Memory(Struct, frozen=True):
    """Everything that a process keeps in memory; when it has just started, `Memory()`."""

    outbox: Window[Outbox] = Window(is_open=False)
    effects: Window[Effect] = Window(is_open=True)
    gaps: Gaps = Gaps()
    leased: float = 0.0  # until when its lease lasts
    asked: float = -1.0  # when it last published an echo, for a deadline that waits
