"""What a process executes on PostgreSQL, written down.

Python imports this at its start, in processes that have this folder on their path: those that
`benchmarks.statements` has recorded. Each child of the fork server leaves `<name>.statements` when
it ends: when each was executed, its text and values, and whether in a pipeline.
"""

import atexit
import os
import pickle
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

_executed: defaultdict[int, list[tuple[float, Any, Any, bool]]] = defaultdict(list)


def _leave(folder: Path) -> None:
    name = Path("/proc/self/comm").read_text().strip()
    longest = max(_executed.values(), key=len, default=[])  # its store's; others only read
    (folder / f"{name}.statements").write_bytes(pickle.dumps(longest))


def _begin() -> None:
    from ecom.stores.postgres_reader import _Connection

    execute = _Connection.execute

    def recorded(self: Any, statement: Any, values: Any = None, **more: Any) -> Any:
        piped = self.pgconn.pipeline_status != 0
        _executed[id(self)].append((time.time(), statement, values, piped))
        return execute(self, statement, values, **more)

    _Connection.execute = recorded  # type: ignore[method-assign, assignment]
    atexit.register(_leave, Path(os.environ["BENCH_STATEMENTS"]))


os.register_at_fork(after_in_child=_begin)
