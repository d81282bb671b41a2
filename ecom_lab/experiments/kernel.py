"""Kernels side by side that cannot take each other's addresses.

Jupyter chooses five TCP ports for a kernel, and the kernel opens them a second later. Meanwhile any
connection that a neighbour makes may get one of them, and the kernel "died before replying". Here a
kernel is spoken to over sockets of its own, which Jupyter puts beside its connection file.
"""

import tempfile
from pathlib import Path
from uuid import uuid4

from jupyter_client.connect import ConnectionFileMixin
from jupyter_client.manager import AsyncKernelManager
from traitlets import default


class OwnSockets(ConnectionFileMixin):
    """To be mixed into a kernel manager of Jupyter's."""

    @default("transport")
    def _transport_default(self) -> str:
        return "ipc"

    @default("connection_file")
    def _connection_file_default(self) -> str:
        # Whole, as a kernel runs in its notebook's folder; short, as a socket's path must be.
        return str(Path(tempfile.gettempdir()) / f"kernel-{uuid4().hex[:16]}.json")


class Kernel(OwnSockets, AsyncKernelManager):
    """Papermill's `kernel_manager_class`."""
