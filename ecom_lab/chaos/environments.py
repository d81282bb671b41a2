"""Where a fault is played: a broker that others use too, one of our own, or one behind a proxy.

Each is a context manager that gives an AMQP URL, and the thing that a fault may lay hands on.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

from ecom.broker.lease import lease
from ecom.broker.node import Node, usable
from ecom.settings import write_private
from ecom_lab.chaos.proxy import Proxy

QUICK = "?heartbeat=1"  # seconds: so that a silent peer is found dead while we watch


@contextmanager
def shared(query: str = "", **told: str) -> Iterator[tuple[str, None]]:
    """The broker everybody uses: for faults that strike only our own processes and queues. `told`
    is more of services' environment."""
    os.environ |= told
    try:
        with lease() as url:
            yield url + query, None
    finally:
        for name in told:
            del os.environ[name]


impatient = partial(shared, QUICK)  # the same, seen with a short heartbeat
steady = partial(shared, "?heartbeat=2")  # with one that a busy machine still keeps
watchful = partial(shared, ECOM_TALLY_SECONDS="1")  # what it has lost is found sooner than usual


@contextmanager
def private() -> Iterator[tuple[str, Node]]:
    """A broker of our own, to be killed and starved."""
    with closing(EphemeralNode()) as node:
        node.start()
        yield node.url, node


@contextmanager
def proxied() -> Iterator[tuple[str, Proxy]]:
    """The broker everybody uses, behind a proxy that has all our connections in its hands."""
    with lease() as url, closing(Proxy(url)) as proxy:
        yield proxy.url + QUICK, proxy


@contextmanager
def clustered() -> Iterator[tuple[str, "Cluster"]]:
    """A cluster, whose clients come through a proxy to any node that answers."""
    with passing_folder() as folder, ExitStack() as ending:
        cluster = Cluster(folder)
        for node in cluster.nodes:  # the first begins a cluster, the others join it
            ending.callback(node.kill)
            node.start()
        proxy = ending.enter_context(closing(Proxy(*(node.url for node in cluster.nodes))))
        yield proxy.url + "?heartbeat=2", cluster


@contextmanager
def passing_folder() -> Iterator[Path]:
    """A folder that is gone afterwards, and before it the nodes in it, however we end."""
    folder = mkdtemp(prefix="ecom-chaos-")
    command = [sys.executable, "-P", "-m", __name__, folder]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True):
        yield Path(folder)


def _clear_up(folder: Path) -> None:
    """Once nobody can write to our stdin any more, end the nodes in a folder, and remove it."""
    sys.stdin.read()
    nodes = [Node(identity.parent) for identity in folder.rglob("identity.json")]
    for node in nodes:
        node.kill()
    for node in nodes:  # with its epmd, which may be that of all of them
        node.stop()
    while folder.exists():  # somebody else in it may be about to end
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.05)


class EphemeralNode(Node):
    """A RabbitMQ node in a new folder; both are gone after `close`, and with this process: a
    notebook's kernel, say."""

    def __init__(self) -> None:
        self._leaving = ExitStack()
        super().__init__(self._leaving.enter_context(passing_folder()))

    def close(self) -> None:
        """End the node and remove its folder. Closing twice is harmless."""
        self.kill()
        self._leaving.close()


class Cluster:
    """Three nodes with one cookie and one epmd that are one broker: what a quorum queue is for."""

    def __init__(self, folder: Path) -> None:
        common = {word: secrets.token_hex(16) for word in ("password", "cookie", "mark")}
        epmd = usable(None)["epmd"]
        self.nodes: list[Node] = []
        for name in ("one", "two", "three"):
            (folder / name).mkdir(mode=0o700)
            identity = common | {"ports": usable(None) | {"epmd": epmd}}
            write_private(folder / name / "identity.json", json.dumps(identity))
            before = [f"{node.name}@localhost" for node in self.nodes]
            config = clustering([*before, f"{name}@localhost"])
            self.nodes.append(Node(folder / name, name, config))

    def leader(self, queue: str) -> Node:
        """The node that leads the queue."""
        listed = self.nodes[0].control("list_queues", "name", "leader", "--formatter", "json")
        found = {row["name"]: row["leader"] for row in json.loads(listed)}
        return next(node for node in self.nodes if found[queue].startswith(f"{node.name}@"))


def clustering(members: list[str]) -> str:
    """The configuration of a node of a cluster, the last of these to start. It is told only of
    those that run by then: before it gives up on another, RabbitMQ 4 waits for minutes. And nodes
    that cannot see most of the others stop: so that no two of them go on alone."""
    lines = [
        "cluster_formation.peer_discovery_backend = classic_config",
        "cluster_partition_handling = pause_minority",
    ]
    for n, name in enumerate(members, 1):
        lines.append(f"cluster_formation.classic_config.nodes.{n} = {name}")
    return "\n".join(lines)


if __name__ == "__main__":
    _clear_up(Path(sys.argv[1]))
