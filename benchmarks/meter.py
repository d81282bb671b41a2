"""What processes cost: CPU seconds and peak memory, from `/proc`; nothing where there is none."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ecom.settings import home

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids: Iterable[int]) -> float | None:
    """User and system time of these processes so far, threads included; None if unknown."""
    with suppress(OSError):
        return sum(_ticks(pid) for pid in pids) / _TICKS
    return None


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def peak_mib(pid: int) -> float | None:
    """The most memory that the process has had resident, in MiB; None if unknown."""
    with suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        line = next(line for line in lines if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return None


def broker_pids() -> list[int]:
    """The private broker's process; empty if the broker is not ours to look at."""
    with suppress(OSError, ValueError):
        if "ECOM_AMQP_URL" not in os.environ:
            return [int((home() / "broker" / "node" / "running").read_text())]
    return []
