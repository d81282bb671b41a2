"""What a machine shows of its processes; into what only Linux has, tests look there alone."""

import sys
from contextlib import suppress

import psutil
import pytest

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into Linux's /proc")


def is_there(pid):
    """Whether there is a process of this number."""
    return psutil.pid_exists(int(pid))


def in_whose_environment(name, value):
    """The command lines of our processes that were started with this variable."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # gone meanwhile, or not ours
            if process.environ().get(name) == value:
                found.append(process.cmdline())
    return found
