"""How the choreography is drawn. All lengths are inches, from the upper left corner down.

Who says something stands in a row, who only listens beneath it, who hears everything at the foot.
An arrow bears all the events that go its way: to a neighbour straight, over other heads in a lane
of its own, down to a listener round one corner. So no words meet, however the contract grows.
"""

from collections.abc import Iterator
from typing import NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from ecom.harness.diagrams import palette
from ecom.harness.diagrams.choreography import UNDO, Arrow, Choreography
from ecom.harness.diagrams.rendering import width_of_text

WIDE, TALL = 1.75, 0.64  # a service's box
BETWEEN, EDGE = 1.5, 0.25  # between boxes: room for words
HEAD, FOOT, LANE, DOWN = 0.75, 0.75, 0.4, 1.55
SIDE, TURN = 0.1, 0.14  # how far an arrow keeps to its side; the radius of a corner
SIZE, LINE = 8.5, 0.17
KEY = (f"blue: on the way to success · {UNDO} orange: something failed, and is undone · "
       "slanted: what else a service is told, by customers, providers and clocks")  # fmt: skip
Place = tuple[float, float]


class Bundle(NamedTuple):
    """All events from one service to another."""

    source: str
    target: str
    arrows: list[Arrow]


class Plan(NamedTuple):
    """Where the services are."""

    row: list[str]
    at: dict[str, Place]
    width: float
    height: float


def draw(picture: Choreography) -> Figure:
    """The figure of a choreography."""
    bundles = _bundles(picture)
    plan = _plan(picture, bundles)
    with matplotlib.rc_context({"font.family": palette.FONT, "font.size": SIZE}):
        figure = Figure(figsize=(plan.width, plan.height), facecolor=palette.PAPER)
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, plan.width), ylim=(plan.height, 0))
        axes.axis("off")
        axes.text(0.15, 0.22, picture.title, weight="bold", size=10, color=palette.INK, va="center")
        axes.text(0.15, 0.46, KEY, size=7.5, color=palette.GREY, va="center")
        _arrows(axes, bundles, plan)
        for name, place in plan.at.items():
            _service(axes, name, picture.others(name), place)
        for name in picture.all_ears:
            _all_ears(axes, name, picture.unheard, plan)
    return figure


def _bundles(picture: Choreography) -> list[Bundle]:
    pairs: dict[tuple[str, str], list[Arrow]] = {}
    for arrow in picture.arrows:
        pairs.setdefault((arrow.producer, arrow.listener), []).append(arrow)
    return [Bundle(*pair, arrows) for pair, arrows in pairs.items()]


def _talking(picture: Choreography) -> list[str]:
    producers = {arrow.producer for arrow in picture.arrows}
    return [name for name in picture.services if name in producers]


def _far(bundles: list[Bundle], row: list[str]) -> Iterator[Bundle]:
    """Those that have to go over other heads."""
    for bundle in bundles:
        if bundle.target in row and abs(row.index(bundle.source) - row.index(bundle.target)) > 1:
            yield bundle


def _plan(picture: Choreography, bundles: list[Bundle]) -> Plan:
    row = _talking(picture)
    lanes = sum(1 for _ in _far(bundles, row))
    lines = max((len(bundle.arrows) for bundle in bundles), default=0)
    beneath = [name for name in picture.services if name not in (*row, *picture.all_ears)]
    y = HEAD + lanes * LANE + max(TALL / 2, lines * LINE + 2 * SIDE)
    at = {name: (EDGE + WIDE / 2 + i * (WIDE + BETWEEN), y) for i, name in enumerate(row)}
    width = 2 * EDGE + len(row) * (WIDE + BETWEEN) - BETWEEN
    for i, name in enumerate(beneath):
        at[name] = (width / 2, y + (i + 1) * DOWN)
    return Plan(row, at, width, y + len(beneath) * DOWN + TALL / 2 + FOOT)


def _arrows(axes: Axes, bundles: list[Bundle], plan: Plan) -> None:
    far = list(_far(bundles, plan.row))
    for bundle in bundles:
        if bundle in far:
            _over(axes, bundle, plan, far.index(bundle))
        elif bundle.target in plan.row:
            _straight(axes, bundle, plan)
        else:
            _down(axes, bundle, plan)


def _straight(axes: Axes, bundle: Bundle, plan: Plan) -> None:
    """To the neighbour: rightwards above, leftwards beneath."""
    (x, y), (end, _) = plan.at[bundle.source], plan.at[bundle.target]
    way = 1 if end > x else -1
    x, end, y = x + way * WIDE / 2, end - way * (WIDE / 2 + 0.03), y - way * SIDE
    _line(axes, [(x, y), (end, y)])
    _words(axes, bundle, (x + end) / 2, y, above=way > 0)


def _over(axes: Axes, bundle: Bundle, plan: Plan, lane: int) -> None:
    """Over the heads of those between, in a lane of its own."""
    (x, y), (end, _) = plan.at[bundle.source], plan.at[bundle.target]
    aside = WIDE * (0.4 - 0.15 * lane) * (1 if end > x else -1)  # the higher, the further out
    top, roof = HEAD + lane * LANE + 0.22, y - TALL / 2
    x, end = x - aside, end + aside
    _line(axes, [(x, roof), (x, top), (end, top), (end, roof - 0.03)])
    _words(axes, bundle, plan.width / 2, top, above=True)


def _down(axes: Axes, bundle: Bundle, plan: Plan) -> None:
    """Down, and round a corner, to one who only listens."""
    (x, y), (end, level) = plan.at[bundle.source], plan.at[bundle.target]
    floor = y + TALL / 2
    if abs(x - end) < WIDE / 2:
        _line(axes, [(x, floor), (x, level - TALL / 2 - 0.03)])
        widest = max(width_of_text(arrow.words, SIZE) for arrow in bundle.arrows)
        _words(axes, bundle, x + 0.1 + widest / 2, (floor + level - TALL / 2) / 2, above=None)
    else:
        border = end + (WIDE / 2 + 0.03) * (1 if x > end else -1)
        _line(axes, [(x, floor), (x, level), (border, level)])
        _words(axes, bundle, (x + border) / 2, level, above=True)


def _line(axes: Axes, corners: list[Place]) -> None:
    """An arrow with round corners."""
    points, codes = [corners[0]], [Path.MOVETO]
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        points += [_towards(corner, before), corner, _towards(corner, after)]
        codes += [Path.LINETO, Path.CURVE3, Path.CURVE3]
    path = Path([*points, corners[-1]], [*codes, Path.LINETO])
    axes.add_patch(FancyArrowPatch(path=path, arrowstyle="-|>", mutation_scale=12, lw=1.3,
                                   color=palette.GREY, zorder=2))  # fmt: skip


def _towards(corner: Place, other: Place) -> Place:
    """A little way from a corner towards another, on a level or upright line."""
    dx, dy = other[0] - corner[0], other[1] - corner[1]
    share = TURN / max(abs(dx), abs(dy))
    return corner[0] + dx * share, corner[1] + dy * share


def _words(axes: Axes, bundle: Bundle, x: float, y: float, above: bool | None) -> None:
    """The events, a line each: above a level line, beneath it, or (None) beside an upright one."""
    lines = [arrow.words for arrow in bundle.arrows]
    left = x - max(width_of_text(line, SIZE) for line in lines) / 2
    half = LINE * len(lines) / 2
    middle = y if above is None else y - half - 0.06 if above else y + half + 0.08
    for i, arrow in enumerate(bundle.arrows):
        colour = palette.SUCCESS if arrow.forward else palette.FAILURE
        axes.text(left, middle + (i + 0.5) * LINE - half, arrow.words, color=colour, va="center",
                  zorder=3, weight="normal" if arrow.handled else "bold")  # fmt: skip


def _service(axes: Axes, name: str, others: list[str], at: Place) -> None:
    """A service, and beneath its name what else it is told."""
    _box(axes, at, (WIDE, TALL), palette.CREAM, "solid")
    level = at[1] - (0.1 if others else 0)
    axes.text(at[0], level, name, ha="center", va="center", weight="bold", size=10,
              color=palette.INK, zorder=5)  # fmt: skip
    axes.text(at[0], at[1] + 0.14, ", ".join(others), ha="center", va="center", style="italic",
              size=7, color=palette.INK, zorder=5)  # fmt: skip


def _all_ears(axes: Axes, name: str, unheard: list[str], plan: Plan) -> None:
    """A service that hears everything, from one side to the other."""
    middle = (plan.width / 2, plan.height - 0.38)
    _box(axes, middle, (plan.width - 2 * EDGE, 0.36), palette.PALE, "dashed")
    alone = f"  ·  and it alone: {', '.join(unheard)}" if unheard else ""
    axes.text(*middle, f"{name} hears everything{alone}", ha="center", va="center_baseline",
              color=palette.INK, zorder=5)  # fmt: skip


def _box(axes: Axes, at: Place, size: Place, colour: str, frame: str) -> None:
    corner = (at[0] - size[0] / 2, at[1] - size[1] / 2)
    style = "round,pad=0,rounding_size=0.09"
    axes.add_patch(FancyBboxPatch(corner, *size, boxstyle=style, fc=colour, ec=palette.INK, lw=0.9,
                                  ls=frame, zorder=4))  # fmt: skip
