"""The sandbox's servers, for tests: started in a folder, killed, started again."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ecom.harness.processes import Processes
from ecom.sandbox.sandbox import Sandbox, put_faults


class Outer:
    """The servers of one folder."""

    def __init__(self, folder: Path, sandbox: Sandbox, processes: Processes) -> None:
        self.folder = folder
        self.gateway_url = sandbox.environment["ECOM_GATEWAY_URL"]
        self.smtp_url = sandbox.environment["ECOM_SMTP_URL"]
        self.set_faults = lambda **faults: put_faults(sandbox.gateway, faults)
        self.start = lambda name: processes.start((name, "1"))
        self.kill = lambda name: processes.kill((name, "1"))


@contextmanager
def outer(folder: Path) -> Iterator[Outer]:
    """Servers in `folder`, none of them started yet."""
    sandbox = Sandbox(as_processes=True)
    lock = os.open(folder, os.O_RDONLY)
    processes = Processes(folder, sandbox.programs, {"ECOM_FOLDER": str(folder)}, lock)
    try:
        yield Outer(folder, sandbox, processes)
    finally:
        processes.stop()
        os.close(lock)
        sandbox.close()
