"""A progress bar that suits where it is shown: a terminal, a notebook, or nowhere."""

import sys
import time
from collections.abc import Sequence
from html import escape
from textwrap import shorten
from typing import Any

from tqdm import tqdm


def progress(total: int, what: str) -> "tqdm | NotebookBar":
    """A bar for `total` things: in a notebook a display, in a terminal on stderr, else silent.

    It has `update(n)`, `set_postfix_str(words)` and `close()`, and is a context manager.
    """
    if in_notebook():
        return NotebookBar(total, what)
    return tqdm(total=total, desc=what, leave=False, disable=not sys.stderr.isatty())


def waits_for(awaited: Sequence[str], room: int = 90) -> str:
    """What is awaited, in one line of so many characters."""
    if not awaited:
        return "all is settled"
    more = f", and {len(awaited) - 1} more" if len(awaited) > 1 else ""
    return shorten(f"waits for: {awaited[0]}", room - len(more), placeholder=" …") + more


def in_notebook() -> bool:
    """Whether there is a notebook that shows what is displayed."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")


class Display:
    """A display in a notebook's output that leaves nothing behind.

    It begins and ends empty, so that the stored output is the same however long it took.
    """

    def __init__(self) -> None:
        from IPython.display import display

        self._handle: Any = display({"text/html": "", "text/plain": ""}, raw=True, display_id=True)

    def show(self, html: str) -> None:
        """Show this in place of what was there."""
        self._handle.update({"text/html": html, "text/plain": ""}, raw=True)

    def close(self) -> None:
        """Take it away."""
        self.show("")


class NotebookBar:
    """A bar in a notebook's output."""

    def __init__(self, total: int, what: str) -> None:
        self.n = 0
        self._total, self._what, self._said = total, what, ""
        self._drawn = time.monotonic()
        self._display = Display()
        self.close = self._display.close

    def update(self, n: int) -> None:
        """`n` more are done."""
        self.n += n
        if time.monotonic() - self._drawn > 0.1:
            self._drawn = time.monotonic()
            bar = f'<progress value="{self.n}" max="{self._total}"></progress>'
            self._display.show(f"{self._what} {bar} {self.n} of {self._total}{self._said}")

    def set_postfix_str(self, words: str) -> None:
        """Say this beside the bar, from its next update on."""
        self._said = f", {escape(words)}"

    def __enter__(self) -> "NotebookBar":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
