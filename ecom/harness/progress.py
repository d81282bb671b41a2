"""A progress bar that suits where it is shown: a terminal, a notebook, or nowhere."""

import sys
from collections.abc import Sequence
from html import escape
from textwrap import shorten
from typing import Any

from tqdm import tqdm


def progress(total: int, what: str) -> tqdm:
    """A bar for `total` things: in a notebook a display, in a terminal on stderr, else silent.

    It has `update(n)`, `set_postfix_str(words)` and `close()`, and is a context manager.
    """
    shown: Any = {"file": Display()} if in_notebook() else {"disable": not sys.stderr.isatty()}
    return Bar(total=total, desc=what, leave=False, **shown)


class Bar(tqdm):
    """A bar without a thread of its own."""

    monitor_interval = 0


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
    """A display in a notebook's output that leaves nothing behind; as a file, it shows what was
    written last.

    It begins and ends empty, so that the stored output is the same however long it took.
    """

    def __init__(self) -> None:
        from IPython.display import display

        self._handle: Any = display({"text/html": "", "text/plain": ""}, raw=True, display_id=True)

    def show(self, html: str) -> None:
        """Show this in place of what was there."""
        self._handle.update({"text/html": html, "text/plain": ""}, raw=True)

    def write(self, line: str) -> int:
        if words := line.strip():
            self.show(f"<pre>{escape(words)}</pre>")
        elif line.strip("\r"):
            self.show("")
        return len(line)

    def close(self) -> None:
        """Take it away."""
        self.show("")
