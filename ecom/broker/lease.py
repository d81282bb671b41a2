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
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from ecom.broker.installation import BrokerUnavailable
from ecom.broker.node import Node
from ecom.settings import home, private

ALONE = fcntl.LOCK_EX | fcntl.LOCK_NB  # or not at all
LOOK_SECONDS = 0.2  # how often a keeper looks whether it is still needed


@contextmanager
def lease(url: str | None = None, inherited: bool = False) -> Iterator[str]:
    """The right to use a broker, until the end of the block or of this process: that at `url`, or
    else (None) at `ECOM_AMQP_URL`; if that is empty, or not set, the private node, started if need
    be (about 7 s). Gives the AMQP URL.

    Processes that ask at once share one node. Children do not inherit a lease: a subprocess that
    needs the broker for longer takes its own. Only what this process becomes may have `inherited`
    it. Raises `BrokerUnavailable`, and `ShopError` for a URL that is none.
    """
    if asked := os.environ.get("ECOM_AMQP_URL") if url is None else url:
        from ecom.amqp.address import check_url  # here: it takes 0.1 s that others need not wait

        yield check_url("ECOM_AMQP_URL", asked)
        return
    folder = _folder()
    with ExitStack() as held:
        with _locked(folder / "start.lock", fcntl.LOCK_EX):
            lock = _locked(folder / "lease.lock", fcntl.LOCK_SH)  # waits for a closing keeper
            held.enter_context(lock)  # closed, not unlocked: a child would end its parent's lease
            found = _running(folder) or _start_keeper(folder)
        os.register_at_fork(after_in_child=lock.close)
        os.set_inheritable(lock.fileno(), inherited)
        yield found


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
    with _using(folder):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    return folder


@contextmanager
def _using(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BrokerUnavailable(
            f"{path} cannot be used ({error.strerror}): set ECOM_HOME to a folder of your own, on "
            "a disk that has file locks."
        ) from error


def _locked(path: Path, kind: int) -> IO[bytes] | None:
    """A file that is locked until it is closed; None if others have locked it, and `LOCK_NB` says
    not to wait for them."""
    with _using(path), ExitStack() as failing:
        file = failing.enter_context(open(path, "a+b", opener=private))
        with suppress(BlockingIOError):
            fcntl.flock(file, kind)
            failing.pop_all()
            return file
    return None


def _running(folder: Path) -> str | None:
    """The URL of a node that is ready and has a keeper; `None`, once no keeper is left."""
    node = shared_node()
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
    node, ready = shared_node(), folder / "ready"
    try:  # one that is in use, as the keeper before us was killed, goes on
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


def main(arguments: list[str]) -> None:
    """`run COMMAND …` becomes the command, which holds a lease; `keep` is for this module alone.
    Raises `ShopError`."""
    match arguments:
        case ["run", *command] if command:
            with lease(inherited=True):
                for number in signal.SIGPIPE, signal.SIGXFSZ:  # which Python ignores
                    signal.signal(number, signal.SIG_DFL)
                os.execvp(command[0], command)
        case ["keep"]:
            _keep()
        case _:
            print("Use: python -m ecom.broker run COMMAND …", file=sys.stderr)
            sys.exit(2)
