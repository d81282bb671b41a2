"""How a process of ours runs, how it stops, and how it announces that it is ready."""

import asyncio
import gc
import json
import logging
import os
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import uvloop

from ecom.settings import made, write_private

log = logging.getLogger("ecom.process")


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run it in an event loop of its own, to its end."""
    # The loop aborts if what it opens gets the number of a standard stream that was closed.
    while (spare := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(spare)
    uvloop.run(main)


def until_stopped() -> asyncio.Event:
    """Set on SIGTERM, which also comes when our starter has ended (see `child`), and on Ctrl-C."""
    stop = asyncio.Event()

    def told(number: signal.Signals) -> None:
        log.info("Stopping, as told by %s", number.name)
        stop.set()

    for number in signal.SIGTERM, signal.SIGINT:
        asyncio.get_running_loop().add_signal_handler(number, told, number)
    return stop


def collect_rarely() -> None:
    """Look for cycles of dead objects once in 50,000 new ones, not in 700: a batch makes many
    objects and next to no cycles, and looking for these took a tenth of the time."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def write_note(folder: Path | None, service: str, replica: str = "1", **more: str) -> None:
    """Say in `<service>-<replica>.json` that this process is ready; whole or not at all. Without a
    folder, say so in the log."""
    if folder is None:
        log.info(" ".join(["Ready", *(f"{what}={where}" for what, where in more.items())]))
        return
    note = {"service": service, "replica": replica, "pid": os.getpid(), **more}
    write_private(made(folder) / f"{service}-{replica}.json", json.dumps(note))
