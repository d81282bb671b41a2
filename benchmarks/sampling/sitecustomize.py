"""Samples of a process's stack, one every few milliseconds of its CPU time, counted by stage.

Python imports this at its start, in processes that have this folder on their path: those that
`benchmarks.stages` measures. Each child of the fork server leaves `<name>.samples` when it ends.
"""

import atexit
import json
import os
import signal
from collections import Counter
from pathlib import Path
from types import FrameType

EVERY = 0.001  # seconds; the kernel makes it one tick of its own, at least
# By how the names of module and function begin, the first that does; the innermost frame counts
# that is here.
STAGES = {
    "ecom.amqp.codec.write_message": "publish",
    "ecom.amqp.connection.publish": "publish",
    "ecom.amqp.connection._uncork": "publish",
    "ecom.amqp.session.publish": "publish",
    "ecom.amqp.session._on_confirm": "confirm",
    "ecom.contract.envelope.encode": "encode",
    "ecom.contract.envelope.derived_id": "encode",
    "ecom.contract.envelope.trace_after": "encode",
    "ecom.runtime.relay.done": "confirm",
    "ecom.runtime.runtime._performed": "effects",
    "ecom.runtime.service.emit": "encode",
    "ecom.runtime.service.send": "encode",
    "ecom.stores.": "store",
    "ecom.contract.envelope": "decode",
    "ecom.amqp.": "receive",
    "ecom.runtime.inbox": "inbox",
    "ecom.runtime.relay": "publish",
    "ecom.runtime.gap_detection": "gap detection",
    "ecom.runtime.streams": "gap detection",
    "ecom.services.": "handler",
    "ecom.sagas.": "handler",
    "ecom.process.performers": "effects",
    "ecom.sandbox.": "effects",
    "ecom.effects.": "effects",
    "ecom.runtime.": "runtime",
    "ecom.api.": "HTTP",
    "uvicorn.": "HTTP",
    "ecom.process.driver": "runtime",
}
_counts: Counter[str] = Counter()
_known: dict[str, str | None] = {}


def _stage(name: str) -> str | None:
    return next((stage for begins, stage in STAGES.items() if name.startswith(begins)), None)


def _sample(_: int, frame: FrameType | None) -> None:
    while frame is not None:
        name = f"{frame.f_globals.get('__name__', '')}.{frame.f_code.co_name}"
        if name not in _known:
            _known[name] = _stage(name)
        if (stage := _known[name]) is not None:
            _counts[stage] += 1
            return
        frame = frame.f_back
    _counts["event loop"] += 1


def _leave(folder: Path) -> None:
    signal.setitimer(signal.ITIMER_PROF, 0)
    name = Path("/proc/self/comm").read_text().strip()
    (folder / f"{name}.samples").write_text(json.dumps(_counts))


def _begin() -> None:
    folder = Path(os.environ["BENCH_SAMPLES"])
    atexit.register(_leave, folder)
    signal.signal(signal.SIGPROF, _sample)
    signal.siginterrupt(signal.SIGPROF, False)
    signal.setitimer(signal.ITIMER_PROF, EVERY, EVERY)


os.register_at_fork(after_in_child=_begin)
