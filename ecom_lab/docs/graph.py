"""Where to draw states and arrows: in rows, from top to bottom, a small relative of Sugiyama's way.

After "Methods for Visual Understanding of Hierarchical System Structures" (1981), with what a dozen
states need. Each arrow's label is a node of its own in the row after its source, and an arrow that
is longer bends at an empty place in each row, so that no label lies on another or on a state.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import fmean
from typing import NamedTuple

ROUNDS = 8  # down and up, of putting each node beneath and above its neighbours
BESIDE, BENEATH = 0.2, 0.2  # between two nodes of a row, between two rows

Arrow = tuple[str, str]  # from one state to another; also its label
Node = Hashable  # a state, a label, or a bend


class Layout(NamedTuple):
    """Where the middle of each node is, right and down, and what nodes each arrow passes."""

    at: dict[Node, tuple[float, float]]
    ways: dict[Arrow, list[Node]]
    width: float
    height: float


def layered(arrows: Iterable[Arrow], sizes: Mapping[Node, tuple[float, float]]) -> Layout:
    """Where to draw these arrows; `sizes` are the widths and heights of states and labels.

    A state stands beneath those that lead to it and were named before it. So an arrow to one that
    was named before its source leads back up: circles are welcome.
    """
    arrows = list(arrows)
    row = _rows(arrows)
    ways = {arrow: _way(arrow, row) for arrow in arrows}
    rows: list[list[Node]] = [[] for _ in range(max(row.values()) + 1)]
    for node, i in row.items():
        rows[i].append(node)
    widths = {node: sizes.get(node, (0, 0))[0] for node in row}
    x = _across(rows, ways.values(), widths)
    left = min(x[node] - widths[node] / 2 for node in x)
    at, y = {}, 0.0
    for nodes in rows:
        height = max(sizes.get(node, (0, 0))[1] for node in nodes)
        at |= {node: (x[node] - left, y + height / 2) for node in nodes}
        y += height + BENEATH
    return Layout(at, ways, max(at[node][0] + widths[node] / 2 for node in at), y - BENEATH)


def _rows(arrows: list[Arrow]) -> dict[Node, int]:
    """The row of each state: an even one, the labels being between."""
    named = {name: i for i, name in enumerate(dict.fromkeys(sum(arrows, ())))}
    row: dict[Node, int] = dict.fromkeys(named, 0)
    for source, target in sorted(arrows, key=lambda arrow: named[arrow[0]]):
        if named[source] < named[target]:
            row[target] = max(row[target], row[source] + 2)
    return row


def _way(arrow: Arrow, row: dict[Node, int]) -> list[Node]:
    """The nodes that an arrow passes; gives its label and its bends a row."""
    start, end = (row[state] for state in arrow)
    step = -1 if end < start else 1
    first, *others = range(start + step, end, step) or [start + 1]
    bends = {(arrow, i): i for i in others}
    row |= {arrow: first} | bends
    return [arrow[0], arrow, *bends, arrow[1]]


def _across(
    rows: Sequence[list[Node]], ways: Iterable[list[Node]], widths: Mapping[Node, float]
) -> dict[Node, float]:
    """Each node as near as can be to the middle of its neighbours."""
    near: dict[Node, list[Node]] = {}
    for one, other in (pair for way in ways for pair in pairwise(way)):
        near.setdefault(one, []).append(other)
        near.setdefault(other, []).append(one)
    x: dict[Node, float] = {}
    for nodes in (*rows, *rows[::-1]) * ROUNDS:
        wish = {node: fmean([x[each] for each in near[node] if each in x] or [0]) for node in nodes}
        nodes.sort(key=wish.__getitem__)
        x[nodes[0]] = wish[nodes[0]]
        for one, other in pairwise(nodes):
            x[other] = max(wish[other], x[one] + BESIDE + (widths[one] + widths[other]) / 2)
        off = fmean(x[node] - wish[node] for node in nodes)
        x |= {node: x[node] - off for node in nodes}
    return x
