"""What all pictures have in common: their paper, and a text for those who do not see them.

Notebooks are given the PNG: it is the one format that JupyterLab, a static export and a code host's
notebook view all show (some hosts choose an SVG output over the PNG beside it and then refuse to
show it). The paper is opaque: a picture is readable in a dark JupyterLab, too. It is unconfined: on
a telephone it scrolls, where it would shrink until nobody could read it. Lengths are inches, from
the upper left corner down; sizes of letters are points. Only who draws loads matplotlib.
"""

import base64
import io
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecom.harness.diagrams import palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

TITLE_SIZE, SIZE, SMALL = 10, 8.5, 7.5
MARGIN = 0.15
SHOWN_DPI, PNG_DPI = 96, 192
HINTED = 1.05  # how much wider letters may be at a low resolution, put on whole pixels
AS_IT_IS = {"text.parse_math": False}  # $x^2$ in a customer's name is no formula
PNG_COLOURS = 255  # a palette makes a third of the bytes


class Picture(ABC):
    """A picture that shows itself in a notebook, and is words where there are no pictures. PNG and
    SVG are the same bytes each time."""

    title: str

    @property
    @abstractmethod
    def text(self) -> str:
        """The picture in words, its title first: also its alternative text."""

    @abstractmethod
    def figure(self) -> "Figure":
        """A new matplotlib figure of it, to be saved or changed."""

    @cached_property
    def png(self) -> bytes:
        """The picture, in twice the resolution at which it is shown."""
        from PIL import Image

        drawn, file = io.BytesIO(), io.BytesIO()
        self.figure().savefig(drawn, format="png", dpi=PNG_DPI)
        Image.open(drawn).convert("RGB").quantize(PNG_COLOURS).save(file, "PNG", optimize=True)
        return file.getvalue()

    @property
    def svg(self) -> str:
        """The picture with real text, and its words as title and description."""
        import matplotlib

        file = io.StringIO()
        with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "ecom"}):
            self.figure().savefig(file, format="svg", metadata={"Date": None, "Creator": None})
        attributes, _, rest = file.getvalue().partition("<svg ")[2].partition(">")
        words = f"<title>{escape(self.title)}</title><desc>{escape(self.text)}</desc>"
        # Verdana's letters are as wide, and it is there where DejaVu is not.
        rest = rest.replace(f"'{palette.FONT}'", f"'{palette.FONT}', Verdana")
        return f'<svg role="img" {attributes}>\n{words}{rest}'

    def save(self, path: Path | str) -> None:
        """Write it to a file, as SVG or as PNG by the file's name."""
        png = Path(path).suffix.lower() == ".png"
        Path(path).write_bytes(self.png if png else self.svg.encode())

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        width = int.from_bytes(self.png[16:20]) * SHOWN_DPI // PNG_DPI  # in CSS pixels
        shown = {"alt": self.text, "width": width, "unconfined": True}
        picture = base64.b64encode(self.png).decode()
        return {"image/png": picture, "text/plain": self.text}, {"image/png": shown}

    def __repr__(self) -> str:
        return self.text


@contextmanager
def paper(title: str, width: float, height: float, key: str = "") -> Iterator["Axes"]:
    """Axes to draw on, with the look of all pictures meanwhile; then as wide as their words need.

    `key` says in a line beneath the title, or in several, what colours and marks mean.
    """
    import matplotlib
    from matplotlib.figure import Figure

    look = {"font.family": palette.FONT, "font.size": SIZE, "text.color": palette.INK}
    with matplotlib.rc_context(look | AS_IT_IS):
        figure = Figure(facecolor=palette.PAPER)
        axes = figure.add_axes((0, 0, 1, 1), ylim=(height, 0))
        axes.axis("off")
        axes.text(MARGIN, 0.22, title, weight="bold", size=TITLE_SIZE, va="center")
        axes.text(MARGIN, 0.37, key, size=SMALL, color=palette.GREY, va="top", linespacing=1.4)
        yield axes
        width = max([width, *(_right_end(text) + MARGIN for text in axes.texts)])
        figure.set_size_inches(width, height)
        axes.set_xlim(0, width)


def write(axes: "Axes", x: float, y: float, words: str, **style: Any) -> None:
    """Words around a place, unless `style` says otherwise."""
    axes.text(x, y, words, **{"ha": "center", "va": "center"} | style)


def width_of_text(text: str, size: float = SIZE, **font: str) -> float:
    """How wide a line of text is; `font` as weight or style."""
    import matplotlib
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    if not text.strip():
        return 0.0
    with matplotlib.rc_context(AS_IT_IS):
        path = TextPath((0, 0), text, size=size, prop=FontProperties(family=palette.FONT, **font))
    # Fonts have a point wherever a curve is widest; `get_extents` would look along each curve.
    at = path.vertices[path.codes != TextPath.CLOSEPOLY, 0]
    return HINTED * (at.max() - at.min()) / 72


def _right_end(text: "Text") -> float:
    font = {"weight": text.get_weight(), "style": text.get_style()}
    lines = text.get_text().splitlines()
    width = max((width_of_text(line, text.get_size(), **font) for line in lines), default=0.0)
    return text.get_position()[0] + width / (2 if text.get_ha() == "center" else 1)
