"""nbval's kernels run side by side, amid the shops' connections: see `ecom_lab.experiments.kernel`."""

import nbval.kernel
from jupyter_client.manager import KernelManager
from scheduling import pytest_xdist_make_scheduler  # noqa: F401

from ecom_lab.experiments.kernel import OwnSockets


class Kernel(OwnSockets, KernelManager):
    """What nbval starts."""


nbval.kernel.KernelManager = Kernel
