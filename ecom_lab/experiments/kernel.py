"""Kernels side by side that cannot take each other's addresses.

Jupyter chooses five TCP ports for a kernel, and the kernel opens them a second later. Meanwhile any
connection that a neighbour makes may get one of them, and the kernel "died before replying". Here a
kernel is spoken to over sockets in a folder of its own.
"""

import shutil
import tempfile
import weakref
from pathlib import Path

from jupyter_client.connect import ConnectionFileMixin
from jupyter_client.manager import AsyncKernelManager
from traitlets import default


class OwnSockets(ConnectionFileMixin):
    """To be mixed into a kernel manager of Jupyter's."""

    _remove: weakref.finalize | None = None

    @default("transport")
    def _transport_default(self) -> str:
        return "ipc"

    @default("ip")
    def _ip_default(self) -> str:
        # Whole, as a kernel runs in its notebook's folder; short, as a socket's path must be.
        folder = tempfile.mkdtemp(prefix="kernel-")
        self._remove = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return str(Path(folder) / "at")

    def cleanup_connection_file(self) -> None:
        """Called when the kernel has ended, and is not to be started again."""
        super().cleanup_connection_file()
        if self._remove:
            self._remove()


class Kernel(OwnSockets, AsyncKernelManager):
    """Papermill's `kernel_manager_class`."""
