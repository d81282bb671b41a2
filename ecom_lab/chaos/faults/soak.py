"""Everything at once, for a long time; and nothing may grow that should not."""

import time
from collections.abc import Iterator

from ecom_lab.chaos.environments import proxied
from ecom_lab.chaos.fault import Fault, Size
from ecom_lab.chaos.faults import disks, lines, services
from ecom_lab.chaos.testbed import Stage
from ecom_lab.shop import SERVICES

SHOTS = (
    services.kill, services.kill, services.freeze, lines.cut, lines.cut_before_confirm,
    lines.half_open, lines.slow, lines.clogged, disks.full, disks.busy,
)  # fmt: skip
DESCRIPTORS = 300  # that a process may hold
MEMORY = 250 * 2**20  # bytes that a process may hold
FILES = 60  # that a shop's folder may hold


def soak(stage: Stage) -> Iterator[str]:
    """A random fault after the other for `seconds`, customers coming all the time."""
    begun = time.monotonic()
    while (passed := time.monotonic() - begun) < stage.seconds:
        due = int(stage.orders * passed / stage.seconds)
        stage.load.release(due - len(stage.load.attempted))
        stage.wait(0.02, 0.25)
        yield stage.random.choice(SHOTS)(stage)
        _look_for_growth(stage)


def _look_for_growth(stage: Stage) -> None:
    for service in SERVICES:
        if (held := stage.process(service).num_fds()) > DESCRIPTORS:
            stage.problems.append(f"{service} holds {held} descriptors")
        if (held := stage.resident(service)) > MEMORY:
            stage.problems.append(f"{service} holds {held / 2**20:.0f} MiB")
    if (files := len(list(stage.shop.folder.iterdir()))) > FILES:
        stage.problems.append(f"the shop's folder holds {files} files")


FAULTS = (
    Fault(
        "soak", "all faults mixed", soak,
        small=Size(300, 1, 4.0), full=Size(20_000, 1_000, 1_800.0), ground=proxied,
    ),
)  # fmt: skip
