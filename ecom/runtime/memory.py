"""What a process keeps in memory between two steps, and so loses in a crash."""

from collections import Counter
from typing import Generic, TypeVar

from msgspec import Struct, field

from ecom.runtime.tables import Effect, Outbox

OutRow = TypeVar("OutRow", Outbox, Effect)
Question = tuple[str, str, int, float]  # who misses events of which type, how many, since when


class Window(Struct, Generic[OutRow], frozen=True):
    """What a replica knows of one table of outgoing rows (see `ecom.runtime.relay`)."""

    is_open: bool
    under_way: dict[int, OutRow] = {}  # by seq: taken on, and not known to be done
    last: int = 0  # its own rows up to this seq have been taken on
    behind: bool = True  # there may be others in the table than those being written


class Gaps(Struct, frozen=True):
    """What is known of lost events (see `ecom.runtime.gap_detection`); all may be forgotten."""

    right: dict[str, float] = {}  # event type → `at` of the last tally that was right
    short: dict[str, int] = {}  # event type → how many were missing at the last tally
    times: Counter[str] = field(default_factory=Counter)  # tallies in a row that found some missing
    questions: Counter[Question] = field(default_factory=Counter)  # how often each was asked
    again: set[int] = set()  # outbox rows that are being sent again


class Memory(Struct, frozen=True):
    """Everything that a process keeps in memory; when it has just started, `Memory()`."""

    outbox: Window[Outbox] = Window(is_open=False)
    effects: Window[Effect] = Window(is_open=True)
    gaps: Gaps = Gaps()
