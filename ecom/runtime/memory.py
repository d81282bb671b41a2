"""What a process keeps in memory between two steps, and so loses in a crash."""

from collections import Counter
from typing import Generic, NamedTuple, TypeVar

from msgspec import Struct, field

from ecom.runtime.tables import Effect, Outbox

OutRow = TypeVar("OutRow", Outbox, Effect)
Missed = tuple[str, str]  # who misses events, and of which type


class Window(Struct, Generic[OutRow], frozen=True):
    """What a replica knows of one table of outgoing rows (see `ecom.runtime.relay`)."""

    is_open: bool
    under_way: dict[int, OutRow] = {}  # by seq: taken on, and not known to be done
    last: int = 0  # its own rows up to this seq have been taken on
    behind: bool = True  # there may be others in the table than those being written


class Answered(NamedTuple):
    """How somebody's questions about one type were answered; times are counted in tallies due."""

    times: int = 0
    wait: int = 0  # until the next answer
    silent: int = 0  # since the last question


class Gaps(Struct, frozen=True):
    """What is known of lost events (see `ecom.runtime.gap_detection`); all may be forgotten."""

    right: dict[str, float] = {}  # event type → `at` of the last tally that was right
    short: dict[str, int] = {}  # event type → how many were missing at the last tally
    times: Counter[str] = field(default_factory=Counter)  # tallies in a row that were not right
    said: dict[str, int] = {}  # the last tally of our own
    alike: int = 0  # how often, since, one was due that would say the same
    answers: dict[Missed, Answered] = {}
    pages: dict[Missed, tuple[float, float]] = {}  # sent again: done after, done until
    again: set[int] = set()  # outbox rows that are being sent again


class Memory(Struct, frozen=True):
    """Everything that a process keeps in memory; when it has just started, `Memory()`."""

    outbox: Window[Outbox] = Window(is_open=False)
    effects: Window[Effect] = Window(is_open=True)
    gaps: Gaps = Gaps()
    leased: float = 0.0  # until when its lease lasts
    asked: float = -1.0  # when it last published an echo, for a deadline that waits
