"""Watches a shop's processes from within, and has each leave in a file what was seen.

Python imports this at its start, in processes that have this folder on their path: those of
`benchmarks.contenders.watched`. In each child of the fork server, the function that `BENCH_WATCH`
names begins to watch, and returns another, which is called when the child ends. What that returns
is pickled into the folder `BENCH_FOLDER`, under the name of the process.
"""

import atexit
import gc
import os
import pickle
from pathlib import Path
from pkgutil import resolve_name


def _begin() -> None:
    folder, seen = Path(os.environ["BENCH_FOLDER"]), resolve_name(os.environ["BENCH_WATCH"])()

    def leave() -> None:
        name = Path("/proc/self/comm").read_text().strip()
        (folder / name).write_bytes(pickle.dumps(seen()))

    atexit.register(leave)
    gc.freeze()  # what was imported for this is not the shop's to collect


os.register_at_fork(after_in_child=_begin)
