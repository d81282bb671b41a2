"""What all pictures have in common: a figure, and a text for those who do not see it.

Notebooks are given the PNG: it is the one format that JupyterLab, a static export and a code host's
notebook view all show (some hosts choose an SVG output over the PNG beside it and then refuse to
show it). The paper is opaque: a picture is readable in a dark JupyterLab, too. It is unconfined: on
a telephone it scrolls, where it would shrink until nobody could read it.
"""

import base64
from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Picture(ABC):
    """A picture that shows itself in a notebook, and is words where there are no pictures."""

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
        from ecom.harness.diagrams.rendering import to_png

        return to_png(self.figure())

    @property
    def svg(self) -> str:
        """The picture with real text, and its words as title and description."""
        from ecom.harness.diagrams.rendering import to_svg

        return to_svg(self.figure(), self.title, self.text)

    def save(self, path: Path | str) -> None:
        """Write it to a file, as SVG or as PNG by the file's name."""
        png = Path(path).suffix.lower() == ".png"
        Path(path).write_bytes(self.png if png else self.svg.encode())

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        from ecom.harness.diagrams.rendering import width_of

        picture = base64.b64encode(self.png).decode()
        shown = {"alt": self.text, "width": width_of(self.png), "unconfined": True}
        return {"image/png": picture, "text/plain": self.text}, {"image/png": shown}

    def __repr__(self) -> str:
        return self.text
