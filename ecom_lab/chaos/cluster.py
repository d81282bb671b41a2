"""Three RabbitMQ nodes that are one broker: what a quorum queue is for."""

import json
import secrets
from pathlib import Path

from ecom.broker.node import Node, usable
from ecom.settings import keep_secret

NAMES = ("one", "two", "three")


def _config(members: int) -> str:
    """Of the node that starts last of so many. It is told only of those that run by then: before
    it gives up on another, RabbitMQ 4 waits for minutes. And nodes that cannot see most of the
    others stop: so that no two of them go on alone."""
    lines = [
        "cluster_formation.peer_discovery_backend = classic_config",
        "cluster_partition_handling = pause_minority",
    ]
    for n, name in enumerate(NAMES[:members], 1):
        lines.append(f"cluster_formation.classic_config.nodes.{n} = {name}@localhost")
    return "\n".join(lines)


class Cluster:
    """Three private nodes with one cookie and one epmd. `leader` tells who leads a queue."""

    def __init__(self, folder: Path) -> None:
        _acquaint(folder)
        self.nodes = [Node(folder / name, name, _config(n)) for n, name in enumerate(NAMES, 1)]

    def start(self) -> None:
        """One after the other: the first begins a cluster, the others join it."""
        for node in self.nodes:
            node.start()

    def stop(self) -> None:
        """All of them at once, then their epmd: each knows one, the same unless it moved."""
        for node in self.nodes:
            node.kill()
        for node in self.nodes:
            node.stop()

    def leader(self, queue: str) -> Node:
        """The node that leads the queue."""
        listed = self.nodes[0].control("list_queues", "name", "leader", "--formatter", "json")
        found = {row["name"]: row["leader"] for row in json.loads(listed)}
        return next(node for node in self.nodes if found[queue].startswith(f"{node.name}@"))


def _acquaint(folder: Path) -> None:
    """Give the nodes their identities beforehand: all the same, but for the ports."""
    common = {word: secrets.token_hex(16) for word in ("password", "cookie", "mark")}
    epmd = usable(None)["epmd"]
    for name in NAMES:
        (folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        identity = common | {"ports": usable(None) | {"epmd": epmd}}
        keep_secret(folder / name / "identity.json", json.dumps(identity))
