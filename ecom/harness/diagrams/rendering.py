"""A figure as PNG and as SVG: the same bytes for the same figure."""

import io
import struct
from html import escape

import matplotlib
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from PIL import Image

from ecom.harness.history import palette

SHOWN_DPI, PNG_DPI = 96, 192
HINTED = 1.05  # how much wider letters may be at a low resolution, put on whole pixels
PNG_COLOURS = 255  # a palette makes a third of the bytes


def width_of_text(text: str, size: float, **font: str) -> float:
    """How wide a line of text is, in inches; `size` in points, `font` as weight or style."""
    if not text.strip():
        return 0.0
    properties = FontProperties(family=palette.FONT, **font)
    return HINTED * TextPath((0, 0), text, size=size, prop=properties).get_extents().width / 72


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
