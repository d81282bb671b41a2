"""The look of plots, and a plot with its words."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ecom.harness.diagrams import palette
from ecom.harness.diagrams.picture import Picture

MARKS, HATCHES = "osD^vX", ("", "///", "...", "xx", "\\\\", "++")
DASHES = ("-", "--", "-.", ":", (0, (6, 4)), (0, (2, 4)))


class Plot(Picture):
    """A plot that shows itself in a notebook and in a page; `words` say what it shows."""

    def __init__(self, figure: Figure, title: str, words: str) -> None:
        self._figure = figure
        self.title = title
        self._words = words

    @property
    def text(self) -> str:
        """The title, and the plot in words: also its alternative text."""
        return f"{self.title}. {self._words}"

    def figure(self) -> Figure:
        """The matplotlib figure, to be saved or changed."""
        return self._figure


def sheet(title: str, width: float = 7.0, height: float = 3.2) -> Figure:
    """An empty figure with a title; sizes in inches."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor=palette.PAPER)
    figure.suptitle(title, x=0.01, ha="left", weight="bold", size=10, color=palette.INK)
    return figure


def dress(axes: Axes, **labels: Any) -> None:
    """The look of all axes; `labels` as for `Axes.set`."""
    axes.set(**labels)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#DDDDDD", lw=0.6)
    axes.set_axisbelow(True)


def plain(value: Any) -> str:
    """A value as people write it: 0.4, 12, 1386000; never 12.0 or 1.386e+06."""
    return f"{value:.10g}" if isinstance(value, float) else str(value)
