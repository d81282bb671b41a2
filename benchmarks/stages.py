"""Where the CPU time of an order goes, by service and stage: samples of the stacks of a shop."""

import pickle
import signal
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FrameType

import psutil

from benchmarks.contender import WARM_UP, Bench, Run
from benchmarks.contenders import watched
from ecom_lab.shop import SERVICES

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


def stages(bench: Bench) -> dict[str, dict[str, float]]:
    """CPU microseconds of an order: service → stage → how many. A process's CPU time while orders
    are carried out, as the kernel counts it, is divided as the samples of its whole life are."""
    with tempfile.TemporaryDirectory(prefix="ecom-bench-") as folder:
        with Run(watched(f"{__name__}:sample", folder), bench.url) as run:
            run.orders(min(WARM_UP, bench.orders))
            processes = [psutil.Process(run.note(name)["pid"]) for name in SERVICES]
            before = [sum(it.cpu_times()[:2]) for it in processes]
            run.orders(bench.orders)
            after = [sum(it.cpu_times()[:2]) for it in processes]
        sampled = [pickle.loads(Path(folder, name).read_bytes()) for name in SERVICES]
    found = {}
    for name, a, b, samples in zip(SERVICES, before, after, sampled, strict=True):
        each = (b - a) * 1e6 / bench.orders / samples.total()
        found[name] = {stage: round(each * n, 1) for stage, n in samples.items()}
    return found


def sample() -> Callable[[], Counter[str]]:
    """Take a sample of this process's stack every few milliseconds of its CPU time, counted by
    stage; what ends that, and returns the counts."""
    signal.signal(signal.SIGPROF, _count)
    signal.siginterrupt(signal.SIGPROF, False)
    signal.setitimer(signal.ITIMER_PROF, EVERY, EVERY)

    def counts() -> Counter[str]:
        signal.setitimer(signal.ITIMER_PROF, 0)
        return _counts

    return counts


def _count(_: int, frame: FrameType | None) -> None:
    while frame is not None:
        if stage := _stage(f"{frame.f_globals.get('__name__', '')}.{frame.f_code.co_name}"):
            _counts[stage] += 1
            return
        frame = frame.f_back
    _counts["event loop"] += 1


@cache
def _stage(name: str) -> str | None:
    return next((stage for begins, stage in STAGES.items() if name.startswith(begins)), None)
