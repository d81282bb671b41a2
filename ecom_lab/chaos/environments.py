"""Where a fault is played: a broker that others use too, one of our own, or one behind a proxy.

Each is a context manager that gives an AMQP URL, and the thing that a fault may lay hands on.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from itertools import count
from pathlib import Path

from ecom.broker.lease import Node, lease
from ecom.harness.workspace import take
from ecom.settings import home
from ecom_lab.chaos.cluster import Cluster
from ecom_lab.chaos.proxy import Proxy

QUICK = "?heartbeat=1"  # seconds: so that a silent peer is found dead while we watch


@contextmanager
def shared(query: str = "") -> Iterator[tuple[str, None]]:
    """The broker everybody uses: for faults that strike only our own processes and queues."""
    with lease() as url:
        yield url + query, None


impatient = partial(shared, QUICK)  # the same, seen with a short heartbeat
steady = partial(shared, "?heartbeat=2")  # with one that a busy machine still keeps


@contextmanager
def watchful() -> Iterator[tuple[str, None]]:
    """The broker everybody uses; what it has lost is found sooner than usual."""
    os.environ["ECOM_TALLY_SECONDS"] = "1"
    try:
        with shared() as here:
            yield here
    finally:
        del os.environ["ECOM_TALLY_SECONDS"]


@contextmanager
def private() -> Iterator[tuple[str, Node]]:
    """A broker of our own, to be killed and starved."""
    with own_folder("broker") as folder:
        node = Node(folder / "node")
        try:
            node.stop()  # somebody may have died here
            node.start()
            yield node.url, node
        finally:
            node.stop()


@contextmanager
def proxied() -> Iterator[tuple[str, Proxy]]:
    """The broker everybody uses, behind a proxy that has all our connections in its hands."""
    with lease() as url, closing(Proxy(url)) as proxy:
        yield proxy.url + QUICK, proxy


@contextmanager
def clustered() -> Iterator[tuple[str, Cluster]]:
    """A cluster, whose clients come through a proxy to any node that answers."""
    with own_folder("cluster") as folder:
        cluster = Cluster(folder)
        try:
            cluster.start()
            with closing(Proxy(*(node.url for node in cluster.nodes))) as proxy:
                yield proxy.url + "?heartbeat=2", cluster
        finally:
            cluster.stop()


@contextmanager
def own_folder(name: str) -> Iterator[Path]:
    """A folder of our own while it lasts: the first of that name which nobody is using."""
    for number in count(1):
        folder = home() / "chaos" / f"{name}-{number}"
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if take(lock):
                yield folder
                shutil.rmtree(folder, ignore_errors=True)  # after a failure, its logs may tell
                return
        finally:
            os.close(lock)
