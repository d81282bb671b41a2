"""The paper that pictures are drawn on; a figure as PNG and as SVG, the same bytes each time.

Lengths are inches, from the upper left corner down; sizes of letters are points.
"""

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import TextPath
from PIL import Image

from ecom.harness.diagrams import palette

TITLE_SIZE, SIZE, SMALL = 10, 8.5, 7.5
MARGIN = 0.15
SHOWN_DPI, PNG_DPI = 96, 192
HINTED = 1.05  # how much wider letters may be at a low resolution, put on whole pixels
AS_IT_IS = {"text.parse_math": False}  # $x^2$ in a customer's name is no formula
PNG_COLOURS = 255  # a palette makes a third of the bytes


@contextmanager
def paper(title: str, width: float, height: float, key: str = "") -> Iterator[Axes]:
    """Axes to draw on, as wide as the title needs, with the look of all pictures meanwhile.

    `key` says in a line beneath the title, or in several, what colours and marks mean.
    """
    wide = [width_of_text(title, TITLE_SIZE, weight="bold")]
    wide += [width_of_text(line, SMALL) for line in key.splitlines()]
    width = max(width, max(wide) + 2 * MARGIN)
    look = {"font.family": palette.FONT, "font.size": SIZE, "text.color": palette.INK}
    with matplotlib.rc_context(look | AS_IT_IS):
        figure = Figure(figsize=(width, height), facecolor=palette.PAPER)
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        axes.axis("off")
        axes.text(MARGIN, 0.22, title, weight="bold", size=TITLE_SIZE, va="center")
        axes.text(MARGIN, 0.37, key, size=SMALL, color=palette.GREY, va="top", linespacing=1.4)
        yield axes


def write(axes: Axes, x: float, y: float, words: str, **style: Any) -> None:
    """Words around a place, unless `style` says otherwise."""
    axes.text(x, y, words, **{"ha": "center", "va": "center"} | style)


def width_of_text(text: str, size: float = SIZE, **font: str) -> float:
    """How wide a line of text is; `font` as weight or style."""
    if not text.strip():
        return 0.0
    with matplotlib.rc_context(AS_IT_IS):
        path = TextPath((0, 0), text, size=size, prop=FontProperties(family=palette.FONT, **font))
    # Fonts have a point wherever a curve is widest; `get_extents` would look along each curve.
    at = path.vertices[path.codes != Path.CLOSEPOLY, 0]
    return HINTED * (at.max() - at.min()) / 72


def to_png(figure: Figure) -> bytes:
    """The figure as PNG, in twice the resolution at which it is shown."""
    drawn, file = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=PNG_DPI)
    Image.open(drawn).convert("RGB").quantize(PNG_COLOURS).save(file, "PNG", optimize=True)
    return file.getvalue()


def width_of(png: bytes) -> int:
    """The width in CSS pixels at which a PNG of ours is meant to be shown."""
    return struct.unpack(">I", png[16:20])[0] * SHOWN_DPI // PNG_DPI


def to_svg(figure: Figure, title: str, description: str) -> str:
    """The figure as SVG, with title and description for those who do not see it."""
    file = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "ecom"}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    _, _, body = file.getvalue().partition("<svg ")
    attributes, _, rest = body.partition(">")
    words = f"<title>{escape(title)}</title><desc>{escape(description)}</desc>"
    # Verdana's letters are as wide, and it is there where DejaVu is not.
    rest = rest.replace(f"'{palette.FONT}'", f"'{palette.FONT}', Verdana")
    return f'<svg role="img" {attributes}>\n{words}{rest}'
