"""Where the CPU time of an order goes, by service and stage: samples of the stacks of a shop."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import psutil

from benchmarks.contender import Run
from benchmarks.contenders import CHECKOUT, shop_of
from benchmarks.throughput import WARM_UP
from ecom_lab.shop import SERVICES

SAMPLING = Path(__file__).with_name("sampling")  # has the module that takes samples


def stages(url: str, orders: int, step: Callable[[], None]) -> dict[str, dict[str, float]]:
    """CPU microseconds of an order: service → stage → how many. A process's CPU time while orders
    are carried out, as the kernel counts it, is divided as the samples of its whole life are."""
    with tempfile.TemporaryDirectory(prefix="ecom-bench-") as folder:
        told = {"PYTHONPATH": f"{CHECKOUT}:{SAMPLING}", "BENCH_SAMPLES": folder}
        with Run(shop_of(CHECKOUT, "sampled", **told), url) as run:
            run.orders(min(WARM_UP, orders))
            pids = {name: run.note(f"{name}-1")["pid"] for name in SERVICES}
            before = _cpu(pids)
            run.orders(orders)
            after = _cpu(pids)
        texts = {name: Path(folder, f"{name}.samples").read_text() for name in SERVICES}
    found = {name: json.loads(text) for name, text in texts.items()}
    step()
    spent = {name: (after[name] - before[name]) * 1e6 / orders for name in SERVICES}
    return {
        name: {
            stage: round(spent[name] * count / sum(found[name].values()), 1)
            for stage, count in found[name].items()
        }
        for name in SERVICES
    }


def _cpu(pids: dict[str, int]) -> dict[str, float]:
    return {name: sum(psutil.Process(pid).cpu_times()[:2]) for name, pid in pids.items()}
