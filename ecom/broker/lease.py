"""A broker for whoever asks: `ECOM_AMQP_URL`, or one private RabbitMQ that all leases share.

A lease is a shared lock on a file, held by the process that uses the broker, so the kernel ends
it with that process, however it dies. A *keeper*, a process of its own, starts the node and waits
for the exclusive lock: it gets it when nobody holds a lease, and then stops the node and itself.
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import IO, NoReturn
from urllib.parse import urlsplit

from ecom.broker.installation import BrokerUnavailable
from ecom.broker.node import Node
from ecom.settings import home, private

__all__ = ["BrokerUnavailable", "Lease", "Node", "lease", "private_node"]
ALONE = fcntl.LOCK_EX | fcntl.LOCK_NB  # or not at all
LOOK_SECONDS = 0.2  # how often a keeper looks whether it is still needed


class Lease:
    """The right to use the broker at `url`, until `close` or the end of this process.

    Children do not inherit it: a subprocess that needs the broker for longer takes its own.
    """

    def __init__(self, url: str, lock: IO[bytes] | None = None) -> None:
        self.url, self._lock = url, lock
        if lock is not None:
            os.register_at_fork(after_in_child=lock.close)

    def close(self) -> None:
        """Give the lease back. Closing twice is harmless."""
        if self._lock is not None:
            self._lock.close()  # not LOCK_UN, which in a forked child would end its parent's lease

    def become(self, command: list[str]) -> NoReturn:
        """Go on as this command, which holds the lease to its end."""
        if self._lock is not None:
            os.set_inheritable(self._lock.fileno(), True)
        for number in signal.SIGPIPE, signal.SIGXFSZ:  # which Python ignores
            signal.signal(number, signal.SIG_DFL)
        os.execvp(command[0], command)

    def __enter__(self) -> str:
        return self.url

    def __exit__(self, *_: object) -> None:
        self.close()


def lease(url: str | None = None) -> Lease:
    """A lease on `url`, or else (None) on `ECOM_AMQP_URL`; if that is empty, or not set, on the
    private node, started if need be (about 7 s).

    `with lease() as url:` gives the AMQP URL. Processes that ask at once share one node. Raises
    `BrokerUnavailable`, and `ShopError` for a URL that is none.
    """
    if asked := os.environ.get("ECOM_AMQP_URL") if url is None else url:
        from ecom.amqp.address import check_url  # here: it takes 0.1 s that others need not wait

        return Lease(check_url("ECOM_AMQP_URL", asked))
    folder = _folder()
    with _locked(folder / "start.lock", fcntl.LOCK_EX), ExitStack() as failing:
        lock = _locked(folder / "lease.lock", fcntl.LOCK_SH)  # waits for a keeper that is closing
        failing.enter_context(lock)
        found = Lease(_running(folder) or _start_keeper(folder), lock)
        failing.pop_all()
        return found


def shared_node() -> Node:
    """The node that all leases share."""
    return Node(home() / "broker" / "node")


def private_node(url: str) -> Node | None:
    """The node that all leases share, if `url` is its address as a lease gives it."""
    node = shared_node()
    try:
        ours = urlsplit(node.url)
    except FileNotFoundError:  # it has never been started
        return None
    return node if urlsplit(url)[:3] == ours[:3] else None  # whatever `?heartbeat=…` it says


def _folder() -> Path:
    folder = home() / "broker"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise _unfit(folder, error) from error
    return folder


def _unfit(path: Path, error: OSError) -> BrokerUnavailable:
    return BrokerUnavailable(
        f"{path} cannot be used ({error.strerror}): set ECOM_HOME to a folder of your own, on a "
        "disk that has file locks."
    )


def _locked(path: Path, kind: int) -> IO[bytes] | None:
    """A file that is locked until it is closed; None if others have locked it, and `LOCK_NB` says
    not to wait for them."""
    with ExitStack() as failing:
        try:
            file = failing.enter_context(open(path, "a+b", opener=private))
            fcntl.flock(file, kind)
        except BlockingIOError:
            return None
        except OSError as error:
            raise _unfit(path, error) from error
        failing.pop_all()
        return file


def _running(folder: Path) -> str | None:
    """The URL of a node that is ready and has a keeper; `None`, once no keeper is left."""
    node = Node(folder / "node")
    while _kept(folder):
        if (folder / "ready").exists() and node.alive():
            return node.url
        time.sleep(LOOK_SECONDS / 4)  # it starts for somebody who has died, or it closes
    return None


def _kept(folder: Path) -> bool:
    """Whether a keeper lives: it holds its lock from its first to its last moment."""
    if free := _locked(folder / "keeper.lock", ALONE):
        free.close()
    return free is None


def _start_keeper(folder: Path) -> str:
    """Start a keeper that is nobody's child; the URL of its node, or that of one that somebody
    started who has died meanwhile."""
    log = folder / "keeper.log"
    with log.open("wb") as output:
        subprocess.run(
            [sys.executable, "-m", "ecom.broker", "keep"],
            cwd=Path(__file__).parents[2],
            env=os.environ | {"ECOM_HOME": str(home())},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=output,
            start_new_session=True,
        )
    if url := _running(folder):
        return url
    raise BrokerUnavailable(log.read_text().strip() or f"The broker's keeper died: see {log}.")


def _keep() -> None:
    """Run the node for as long as anybody holds a lease on it and it lives."""
    folder = _folder()
    lock = _locked(folder / "keeper.lock", ALONE)
    if lock is None or os.fork():
        os._exit(0)  # whoever started the keeper need not be its parent, and can look now
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        _look_after(Node(folder / "node"), folder)
    except BrokerUnavailable as error:
        sys.exit(str(error))


def _look_after(node: Node, folder: Path) -> None:
    """Start the node, say that it is ready, and stop it when its time has come. One that is in use,
    as the keeper before us was killed, goes on."""
    ready = folder / "ready"
    try:
        if not (ready.exists() and node.alive()):
            ready.unlink(missing_ok=True)
            node.stop()  # which was still starting
        node.start()
        ready.touch()
        last = None
        while node.alive() and last is None:
            time.sleep(LOOK_SECONDS)
            last = _locked(folder / "lease.lock", ALONE)  # until we have ended, if nobody has one
    finally:
        ready.unlink(missing_ok=True)
        node.stop()


def main(arguments: list[str]) -> int:
    """`run COMMAND …` becomes the command, which holds a lease; `keep` is for this module alone."""
    match arguments:
        case ["run", *command] if command:
            try:
                held = lease()
            except BrokerUnavailable as error:
                print(error, file=sys.stderr)
                return 1
            held.become(command)
        case ["keep"]:
            _keep()
            return 0
    print("Use: python -m ecom.broker run COMMAND …", file=sys.stderr)
    return 2
