"""Where the CPU time of an order goes, by service and stage: samples of the stacks of a shop."""

import json
import tempfile
from pathlib import Path

import psutil

from benchmarks.contender import Bench, Run
from benchmarks.contenders import CHECKOUT, shop_of
from benchmarks.throughput import WARM_UP
from ecom_lab.shop import SERVICES

SAMPLING = Path(__file__).with_name("sampling")  # the module that takes samples


def stages(bench: Bench) -> dict[str, dict[str, float]]:
    """CPU microseconds of an order: service → stage → how many. A process's CPU time while orders
    are carried out, as the kernel counts it, is divided as the samples of its whole life are."""
    with tempfile.TemporaryDirectory(prefix="ecom-bench-") as folder:
        told = {"PYTHONPATH": f"{CHECKOUT}:{SAMPLING}", "BENCH_SAMPLES": folder}
        with Run(shop_of(CHECKOUT, "sampled", **told), bench.url) as run:
            run.orders(min(WARM_UP, bench.orders))
            processes = [psutil.Process(run.note(f"{name}-1")["pid"]) for name in SERVICES]
            before = [sum(it.cpu_times()[:2]) for it in processes]
            run.orders(bench.orders)
            after = [sum(it.cpu_times()[:2]) for it in processes]
        texts = [Path(folder, f"{name}.samples").read_text() for name in SERVICES]
    found = {}
    for name, a, b, text in zip(SERVICES, before, after, texts, strict=True):
        samples, micros = json.loads(text), (b - a) * 1e6 / bench.orders
        whole = sum(samples.values())
        found[name] = {stage: round(micros * n / whole, 1) for stage, n in samples.items()}
    return found
