"""Why each safeguard exists, at a glance: what breaks without it, as a frame and a heat map."""

from collections.abc import Iterable

import matplotlib
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from ecom.harness.diagrams import palette
from ecom.harness.diagrams.picture import Picture
from ecom_lab.simulator.ablations.ablation import Ablation
from ecom_lab.simulator.properties import QUIET_IS_REACHED
from ecom_lab.simulator.suites import Job, explore_all

# From paper to a tint on which the numbers, which say the same, can still be read.
SHADES = LinearSegmentedColormap.from_list("failure", [palette.PAPER, palette.FAILURES[1]])
ENOUGH = 12_000  # states of each world: what breaks, breaks early


def matrix(ablations: Iterable[Ablation], workers: int = 1) -> pd.DataFrame:
    """A row for each ablation, a column for each promise it violates in the world of its own.

    A cell is the number of steps of the shortest story that violates it, 0 if none is known.
    """
    jobs = [Job(it.broken, it.name, stop=False, enough=ENOUGH) for it in ablations]
    found = {job.name: result for job, result in explore_all(jobs, workers)}
    promises = dict.fromkeys(it.name for job in jobs for it in job.scenario.properties)
    names = pd.Index([job.name for job in jobs], name="without")
    frame = pd.DataFrame(0, index=names, columns=[*promises, QUIET_IS_REACHED[0]])
    for name in names:
        for violation in found[name].violations:
            frame.loc[name, violation.promise] = len(violation.steps)
    return frame


def losses(ablations: Iterable[Ablation], workers: int = 1) -> pd.DataFrame:
    """Each ablation's shortest counterexample: its length, the promise, and what was lost."""
    found = explore_all([Job(it.broken, it.name) for it in ablations], workers)
    first = {job.name: result.violations[0] for job, result in found}
    rows = []
    for it in ablations:
        story = first[it.name]
        about = {"sample": it.sample, "steps": len(story.steps), "violates": story.promise}
        rows.append({"without": it.name, **about, **story.lost})
    return pd.DataFrame(rows).set_index("without")


class HeatMap(Picture):
    """The matrix as a picture, which a notebook shows: the darker, the shorter the story."""

    title = "Steps to each violated promise, without each safeguard"

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame

    @property
    def text(self) -> str:
        """For each safeguard, the promises that are violated without it, and in how many steps."""
        lines = [self.title]
        for name, row in self._frame.iterrows():
            steps = (f"{promise} {count}" for promise, count in row[row > 0].items())
            lines.append(f"  {name}: {', '.join(steps)}")
        return "\n".join(lines)

    def figure(self) -> Figure:
        """A new matplotlib figure of it."""
        frame = self._frame
        size = (0.42 * len(frame.columns) + 2.5, 0.22 * len(frame) + 2.2)
        with matplotlib.rc_context({"font.family": palette.FONT, "text.color": palette.INK}):
            figure = Figure(figsize=size, facecolor=palette.PAPER, layout="tight")
            axes = figure.subplots()
            shade = frame.where(frame > 0).rsub(frame.to_numpy().max() + 1).to_numpy(dtype=float)
            axes.imshow(shade, cmap=SHADES, aspect="auto", vmin=0)
            axes.set_xticks(range(len(frame.columns)), frame.columns, rotation=60, ha="right",
                            rotation_mode="anchor", size=8)  # fmt: skip
            axes.set_yticks(range(len(frame)), frame.index, size=8)
            axes.spines[:].set_color(palette.GREY)
            axes.tick_params(length=2, color=palette.GREY)
            for y, x in zip(*frame.to_numpy().nonzero(), strict=True):
                axes.text(x, y, frame.iat[y, x], ha="center", va="center_baseline", size=7)
            figure.suptitle(self.title, x=0.15 / size[0], ha="left", weight="bold", size=10)
        return figure
