"""A node that ends with whoever started it, however that one ends: a notebook's kernel, say.

It has a guard, a process of its own that reads from a pipe whose other end is ours. The operating
system closes that end however we die; then the guard stops the node and removes its folder.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp

from ecom.broker.node import Node


class OwnNode(Node):
    """A RabbitMQ node in a new folder; both are gone after `close`, and with this process."""

    def __init__(self) -> None:
        super().__init__(Path(mkdtemp(prefix="ecom-node-")))
        command = [sys.executable, "-m", "ecom.broker.ephemeral", str(self.folder)]
        self._guard = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)

    def close(self) -> None:
        """Stop the node and remove its folder. Closing twice is harmless."""
        self._guard.stdin.close()
        self._guard.wait()


def _guard(folder: Path) -> None:
    """Wait for the end of whoever started us, and clear up."""
    sys.stdin.buffer.read()
    Node(folder).stop()
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    _guard(Path(sys.argv[1]))
