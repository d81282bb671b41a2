"""Streams: the events of one type, numbered from 1 by one replica; and what has come of one.

To receive a number again changes nothing, however late: a small row tells what is missing, however
long the history is, and no duplicate stands for what was lost.
"""

from bisect import bisect
from collections.abc import Iterable
from itertools import pairwise

from ecom.runtime.tables import Range, Received

MOST = 10_000  # ranges in a row: replicas may have as many in hand. What is beyond is missing
NO_END = 10**18


def mark(replica: str, is_shared: bool) -> str:
    """How names of a replica's own streams and counters end, where it would else wait for those of
    its siblings: not in a store that has one writer at a time anyway."""
    return f"@{replica}" if is_shared and replica != "1" else ""


def apart(name: str) -> tuple[str, str]:
    """The event type of a stream, or what a counter counts; and the mark."""
    plain, at, replica = name.partition("@")
    return plain, at + replica


def came(rows: Iterable[Received]) -> dict[str, list[Range]]:
    """What has come of each stream, to any replica of the service that has these rows."""
    found: dict[str, list[Range]] = {}
    for row in rows:
        found.setdefault(row.type.partition("/")[0], []).extend(row.came)
    return {stream: merged(ranges) for stream, ranges in found.items()}


def merged(ranges: Iterable[Range]) -> list[Range]:
    """The same numbers in as few ranges as can be, in order."""
    found: list[Range] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return found[:MOST]


def grown(came: list[Range], ranges: list[Range]) -> list[Range]:
    """What is `merged` of ranges in order and a few more, which lie near their end as a rule."""
    start = max(bisect(came, min(ranges)) - 1, 0)
    return [*came[:start], *merged([*came[start:], *ranges])][:MOST]


def missing(came: Iterable[Range], last: int) -> list[Range]:
    """What of the numbers up to `last` has not come."""
    ends = pairwise([(0, 0), *came, (NO_END, NO_END)])
    return within([(a + 1, b - 1) for (_, a), (b, _) in ends], 1, last)


def within(ranges: Iterable[Range], first: int, last: int) -> list[Range]:
    """What of the ranges lies between these numbers, both included."""
    cut = ((max(a, first), min(b, last)) for a, b in ranges)
    return [(a, b) for a, b in cut if a <= b]


def size(ranges: Iterable[Range]) -> int:
    """How many numbers there are in the ranges."""
    return sum(last - first + 1 for first, last in ranges)
