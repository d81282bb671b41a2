"""A layered drawing of a graph without circles, left to right, after Sugiyama et al. (1981).

"Methods for Visual Understanding of Hierarchical System Structures", simplified: nodes stand in
columns by their longest way from the start. Each edge's label is a node of its own in the column
after its source, and an edge that is longer than one column bends at an empty place in each, so
that no label lies on another nor on a line.
"""

from collections.abc import Hashable, Iterable, Mapping
from itertools import accumulate, pairwise
from statistics import fmean as mean
from typing import NamedTuple

Node = Hashable
ROUNDS = 12  # there and back, of putting each node level with its neighbours
INSISTENCE = 200  # what a stiff node counts for
GAP = 0.22  # between two nodes of a column, inches


class Edge(NamedTuple):
    """From, to; the node that is its label."""

    source: Node
    target: Node
    label: Node


class Layout(NamedTuple):
    """Where everything is; the ways are the nodes that an edge leads through, ends included."""

    columns: list[list[Node]]
    y: dict[Node, float]  # inches, down; the highest edge of the highest node is 0
    height: float
    ways: dict[Edge, list[Node]]


def layered(edges: Iterable[Edge], heights: Mapping[Node, float]) -> Layout:
    """Where to draw these edges; `heights` (inches) of the nodes and labels that are not flat."""
    edges = list(edges)
    ranks = _ranks(edges)
    ways = {edge: _way(edge, ranks) for edge in edges}
    columns: list[list[Node]] = [[] for _ in range(max(ranks.values()) + 1)]
    for node in dict.fromkeys(node for way in ways.values() for node in way):
        columns[ranks[node]].append(node)
    near, straight = _neighbours(ways.values()), _straight(ways)
    y = {node: float(i) for column in columns for i, node in enumerate(column)}
    for _ in range(ROUNDS):
        for column in (*columns, *columns[::-1]):
            column.sort(key=lambda node: _wish(node, near, y))
            _level(column, near, heights, y, set())
    stiff = {node for way in ways.values() if len(way) > 3 for node in way[1:-1]}
    for column in (*columns, *columns[::-1]) * ROUNDS:
        _level(column, straight, heights, y, stiff)
    top = min(y[node] - heights.get(node, 0) / 2 for node in y)
    y = {node: at - top for node, at in y.items()}
    return Layout(columns, y, max(y[node] + heights.get(node, 0) / 2 for node in y), ways)


def _ranks(edges: list[Edge]) -> dict[Node, int]:
    """The column of each node: even for nodes, odd for labels. Raises `ValueError` for a circle."""
    ranks = {node: 0 for edge in edges for node in (edge.source, edge.target)}
    for _ in range(len(ranks) + 1):
        before = dict(ranks)
        for edge in edges:
            ranks[edge.target] = max(ranks[edge.target], ranks[edge.source] + 2)
        if ranks == before:
            return ranks | {edge.label: ranks[edge.source] + 1 for edge in edges}
    raise ValueError("these edges lead in a circle: they cannot be drawn from left to right")


def _way(edge: Edge, ranks: dict[Node, int]) -> list[Node]:
    """The nodes that an edge leads through; gives the empty ones a column."""
    bends = [(edge, rank) for rank in range(ranks[edge.label] + 1, ranks[edge.target])]
    ranks.update((bend, bend[1]) for bend in bends)
    return [edge.source, edge.label, *bends, edge.target]


def _neighbours(ways: Iterable[list[Node]]) -> dict[Node, list[Node]]:
    found: dict[Node, list[Node]] = {}
    for way in ways:
        for one, other in pairwise(way):
            found.setdefault(one, []).append(other)
            found.setdefault(other, []).append(one)
    return found


def _straight(ways: dict[Edge, list[Node]]) -> dict[Node, list[Node]]:
    """What a node should be level with at last, so that lines bend only where there is room.

    A label with what it leads to, and all bends of one edge with each other.
    """
    found = _neighbours(ways.values())
    for edge, way in ways.items():
        found[edge.label] = [way[2]]
        if len(way) > 3:
            found.update((node, way[1:-1]) for node in way[1:-1])
    return found


def _wish(node: Node, wishes: dict[Node, list[Node]], y: dict[Node, float]) -> float:
    return mean(y[each] for each in wishes[node])


def _level(
    column: list[Node],
    wishes: dict[Node, list[Node]],
    heights: Mapping[Node, float],
    y: dict[Node, float],
    stiff: set[Node],
) -> None:
    """Put each node of a column as near as can be to the middle of what it would be level with.

    What would lie on each other makes a block, whose middle is where its nodes wish it on average
    (pool adjacent violators: the least squares under the order they are in); the stiff insist.
    """
    halves = [heights.get(node, 0) / 2 for node in column]
    tops = [0.0, *accumulate(one + GAP + other for one, other in pairwise(halves))]
    blocks: list[tuple[float, int, int]] = []  # sum of the wishes, their weight, nodes
    for node, top in zip(column, tops, strict=False):
        weight = INSISTENCE if node in stiff else 1
        block = (_wish(node, wishes, y) - top) * weight, weight, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > block[0] / block[1]:
            block = tuple(map(sum, zip(blocks.pop(), block, strict=True)))
        blocks.append(block)
    starts = [total / weight for total, weight, nodes in blocks for _ in range(nodes)]
    y.update((node, start + top) for node, start, top in zip(column, starts, tops, strict=False))
