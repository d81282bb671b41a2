"""A progress bar that suits where it is shown: a terminal, a notebook, or nowhere."""

import sys
from collections.abc import Sequence
from html import escape
from io import StringIO
from textwrap import shorten
from typing import Any

from tqdm import tqdm


def progress(total: int, what: str) -> tqdm:
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


class NotebookBar(tqdm):
    """A bar in a notebook's output."""

    monitor_interval = 0  # no thread of its own

    def __init__(self, total: int, what: str) -> None:
        self._display, self._what = Display(), what
        super().__init__(total=total, leave=False, file=StringIO())

    def display(self, *_: Any, **__: Any) -> None:
        bar = f'<progress value="{self.n}" max="{self.total}"></progress>'
        said = f", {escape(self.postfix)}" if self.postfix else ""
        self._display.show(f"{self._what} {bar} {self.n} of {self.total}{said}")

    def close(self) -> None:
        if not self.disable:  # not twice, as tqdm closes again what nobody needs any more
            super().close()
            self._display.close()
