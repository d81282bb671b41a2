"""A node that ends with whoever started it, however that one ends: a notebook's kernel, say.

It has a guard, a child that is told when its time has come: then it stops the node and removes its
folder.
"""

import shutil
import signal
import sys
from pathlib import Path
from tempfile import mkdtemp

from ecom.broker.node import Node
from ecom.process import child

PATIENCE = 60.0  # seconds that stopping may take


class EphemeralNode(Node):
    """A RabbitMQ node in a new folder; both are gone after `close`, and with this process."""

    def __init__(self) -> None:
        super().__init__(Path(mkdtemp(prefix="ecom-node-")))
        with open(self.folder / "guard.log", "wb") as log:
            self._guard = child.start(f"{__name__}:guard", self.folder, log=log, patience=PATIENCE)

    def close(self) -> None:
        """Stop the node and remove its folder. Closing twice is harmless."""
        self._guard.terminate()
        self._guard.wait()


def guard(folder: Path) -> None:
    """Wait to be told, and clear up."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        while True:
            signal.pause()
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        Node(folder).stop()
        shutil.rmtree(folder, ignore_errors=True)
