"""Nodes of a cluster killed and paused, leaders and followers."""

import signal

from ecom.broker.node import Node
from ecom.contract import topology
from ecom_lab.chaos.cluster import clustered
from ecom_lab.chaos.fault import Fault, Size, salvo
from ecom_lab.chaos.faults.brokers import restart
from ecom_lab.chaos.testbed import Stage
from ecom_lab.shop import SERVICES


def kill_leader(stage: Stage) -> str:
    """SIGKILL of the node that leads the queue of some service."""
    _kill(stage, _leader(stage))
    return "leader killed"


def kill_follower(stage: Stage) -> str:
    """SIGKILL of a node that follows it."""
    _kill(stage, _follower(stage))
    return "follower killed"


def pause(stage: Stage) -> str:
    """SIGSTOP of a node: it is neither there nor gone."""
    node = stage.random.choice(stage.broker.nodes)
    node.signal(signal.SIGSTOP)
    try:
        stage.burst()
        stage.wait(stage.seconds, stage.seconds)
    finally:
        node.signal(signal.SIGCONT)
    return "node paused"


def _leader(stage: Stage) -> Node:
    queue = topology.queue(stage.shop.name, stage.random.choice(SERVICES))
    return stage.broker.leader(queue)


def _follower(stage: Stage) -> Node:
    leader = _leader(stage)
    return stage.random.choice([node for node in stage.broker.nodes if node is not leader])


def _kill(stage: Stage, node: Node) -> None:
    stage.burst()  # anew: asking who leads has taken its time
    node.kill()
    stage.wait(1.0, 3.0)  # the others elect a leader
    restart(node)


FAULTS = (
    Fault(
        "cluster", "of three nodes: leader, follower, any killed; a node paused",
        salvo(kill_leader, kill_follower, pause, gap=(2.0, 5.0)),
        small=Size(200, 1, 5.0), full=Size(10_000, 12, 15.0), ground=clustered,
    ),
)  # fmt: skip
