"""A broker for the benchmark alone: what peers leave behind at it goes with it."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ecom.broker.lease import lease


@contextmanager
def own_home() -> Iterator[None]:
    """Within it, `ECOM_HOME` is a new folder: whatever is leased or opened there is private."""
    before = os.environ.get("ECOM_HOME")
    with tempfile.TemporaryDirectory(prefix="ecom-bench-", ignore_cleanup_errors=True) as folder:
        os.environ["ECOM_HOME"] = folder
        try:
            yield
        finally:
            del os.environ["ECOM_HOME"]
            os.environ |= {"ECOM_HOME": before} if before else {}
            _await_closed(Path(folder))


def _await_closed(folder: Path) -> None:
    """The keeper stops the node once the last lease is gone."""
    deadline = time.monotonic() + 30
    while (folder / "broker/node/running").exists() and time.monotonic() < deadline:
        time.sleep(0.05)


@contextmanager
def own_broker() -> Iterator[str]:
    """The URL of a node of our own, or of the one that `ECOM_AMQP_URL` names."""
    with own_home(), lease() as url:
        yield url
