"""Local stand-ins for the outside world, for tests: started in a folder, killed, started again."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ecom.harness.processes import Processes
from ecom.sandbox.standins import StandIns


class Outer:
    """The stand-ins of one folder."""

    def __init__(self, folder: Path, standins: StandIns, processes: Processes) -> None:
        self.folder = folder
        self.gateway_url = standins.environment["ECOM_GATEWAY_URL"]
        self.smtp_url = standins.environment["ECOM_SMTP_URL"]
        self.set_faults = lambda **faults: standins.set_faults(faults)
        self.start = lambda name: processes.start((name, "1"))
        self.kill = lambda name: processes.kill((name, "1"))


@contextmanager
def outer(folder: Path) -> Iterator[Outer]:
    """Stand-ins in `folder`, none of them started yet."""
    standins = StandIns(folder, as_processes=True)
    lock = os.open(folder, os.O_RDONLY)
    processes = Processes(folder, standins.programs, {"ECOM_FOLDER": str(folder)}, lock)
    try:
        yield Outer(folder, standins, processes)
    finally:
        processes.stop()
        os.close(lock)
        standins.close()
