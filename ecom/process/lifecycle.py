"""How long a process of ours lives, and how it says that it is ready."""

import asyncio
import gc
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path


def until_stopped() -> asyncio.Event:
    """Set on SIGTERM, and when the parent is gone: that is the end of file on our stdin."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, lambda: None)  # Ctrl-C is for the parent to act on
    if not sys.stdin.isatty():
        with suppress(OSError, PermissionError):  # a plain file, or none: nobody to outlive
            loop.add_reader(sys.stdin.fileno(), stop.set)
    return stop


def collect_rarely() -> None:
    """Look for cycles of dead objects once in 50,000 new ones, not in 700: a batch makes many
    objects and next to no cycles, and looking for these took a tenth of the time."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def announce(folder: Path, service: str, replica: str = "1", **more: str) -> None:
    """Say in `<service>-<replica>.json` that this process is ready; whole or not at all."""
    note = {"service": service, "replica": replica, "pid": os.getpid(), **more}
    path = folder / f"{service}-{replica}.json"
    path.with_suffix(".tmp").write_text(json.dumps(note))
    path.with_suffix(".tmp").replace(path)
