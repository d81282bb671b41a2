"""The broker: killed, short of memory and disk, a node of three lost, its queues deleted."""

import signal
from contextlib import closing

import pika

from ecom.amqp.address import parameters
from ecom.broker.node import Node
from ecom.contract import topology
from ecom_lab.chaos.testbed import Testbed
from ecom_lab.chaos.verdict import HarnessFailed


def kill(bed: Testbed) -> str:
    """SIGKILL of the node, as a power cut; started again in the same folder.

    Not at once: a quorum queue that was declared a moment before may not come back (seen with
    RabbitMQ 3.10: nobody is delivered anything from it, and what is published is not confirmed).
    """
    bed.wait(2.0, 3.0)
    bed.broker.kill()
    bed.burst()
    restart(bed.broker)
    return "broker killed"


def restart(node: Node) -> None:
    """Start a node that was killed. Raises `HarnessFailed` if it had to move to another port."""
    before = node.url
    node.start()
    if node.url != before:
        raise HarnessFailed("somebody took the node's port while it was down")


def memory_alarm(bed: Testbed) -> str:
    """The broker takes no publishes: it is "out of memory"."""
    bed.broker.control("set_vm_memory_high_watermark", "0")
    try:
        _order_nevertheless(bed)
    finally:
        bed.broker.control("set_vm_memory_high_watermark", "absolute", "768MB")
    return "memory alarm"


def disk_alarm(bed: Testbed) -> str:
    """Likewise, "out of disk"."""
    bed.broker.control("set_disk_free_limit", "100000GB")
    try:
        _order_nevertheless(bed)
    finally:
        bed.broker.control("set_disk_free_limit", "50MB")
    return "disk alarm"


def _order_nevertheless(bed: Testbed) -> None:
    """Orders must be taken while the alarm lasts."""
    before = len(bed.workload.acknowledged)
    bed.burst()
    bed.wait(bed.seconds, bed.seconds)
    if len(bed.workload.acknowledged) == before:
        bed.problems.append("no order was accepted during an alarm")


def kill_leader(bed: Testbed) -> str:
    """SIGKILL of the node that leads the queue of some service."""
    _kill(bed, _leader(bed))
    return "leader killed"


def kill_follower(bed: Testbed) -> str:
    """SIGKILL of a node that follows it."""
    _kill(bed, _follower(bed))
    return "follower killed"


def pause(bed: Testbed) -> str:
    """SIGSTOP of a node: it is neither there nor gone."""
    node = bed.random.choice(bed.broker.nodes)
    node.signal(signal.SIGSTOP)
    try:
        bed.burst()
        bed.wait(bed.seconds, bed.seconds)
    finally:
        node.signal(signal.SIGCONT)
    return "node paused"


def _leader(bed: Testbed) -> Node:
    queue = topology.queue(bed.runner.name, bed.random.choice(bed.services))
    return bed.broker.leader(queue)


def _follower(bed: Testbed) -> Node:
    leader = _leader(bed)
    return bed.random.choice([node for node in bed.broker.nodes if node is not leader])


def _kill(bed: Testbed, node: Node) -> None:
    bed.burst()  # anew: asking who leads has taken its time
    node.kill()
    bed.wait(1.0, 3.0)  # the others elect a leader
    restart(node)


def delete_queue(bed: Testbed) -> str:
    """A queue is deleted with all that is in it."""
    service = bed.random.choice(bed.services)
    with closing(pika.BlockingConnection(parameters(bed.runner.amqp_url))) as connection:
        connection.channel().queue_delete(topology.queue(bed.runner.name, service))
    return f"queue of {service} deleted"


def unbind_queue(bed: Testbed) -> str:
    """A binding is removed: its events still reach others, and the broker confirms them."""
    queue, key = bed.random.choice(topology.bindings(bed.contract, bed.runner.name))
    with closing(pika.BlockingConnection(parameters(bed.runner.amqp_url))) as connection:
        connection.channel().queue_unbind(queue, topology.exchange(bed.runner.name), key)
    return f"{queue.rpartition('.')[2]} unbound from {key}"
