"""The broker: killed, short of memory and disk, a node of three lost, its queues deleted; and the
lines between it and the services cut, swallowed, slowed and clogged."""

import signal
from functools import partial

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


def alarm(what: str, limit: str, none: str, usual: list[str], bed: Testbed) -> str:
    """The broker is out of `what`, by its `limit`, and takes no publishes: orders must be taken
    nevertheless."""
    bed.broker.control(limit, none)
    try:
        before = len(bed.workload.acknowledged)
        bed.endure(bed.seconds, bed.seconds)
        if len(bed.workload.acknowledged) == before:
            bed.problems.append("no order was accepted during an alarm")
    finally:
        bed.broker.control(limit, *usual)
    return f"{what} alarm"


ALARMS = (
    partial(alarm, "memory", "set_vm_memory_high_watermark", "0", ["absolute", "768MB"]),
    partial(alarm, "disk", "set_disk_free_limit", "100000GB", ["50MB"]),
)


def kill_one(role: str, bed: Testbed) -> str:
    """SIGKILL of the node that leads the queue of some service, or of a follower."""
    queue = topology.queue(bed.runner.name, bed.random.choice(bed.services))
    leader = bed.broker.leader(queue)
    followers = [node for node in bed.broker.nodes if node is not leader]
    node = leader if role == "leader" else bed.random.choice(followers)
    bed.burst()  # anew: asking who leads has taken its time
    node.kill()
    bed.wait(1.0, 3.0)  # the others elect a leader
    restart(node)
    return f"{role} killed"


def pause(bed: Testbed) -> str:
    """SIGSTOP of a node: it is neither there nor gone."""
    node = bed.random.choice(bed.broker.nodes)
    node.signal(signal.SIGSTOP)
    try:
        bed.endure(bed.seconds, bed.seconds)
    finally:
        node.signal(signal.SIGCONT)
    return "node paused"


NODES = (partial(kill_one, "leader"), partial(kill_one, "follower"), pause)


def delete_queue(bed: Testbed) -> str:
    """A queue is deleted with all that is in it."""
    service = bed.random.choice(bed.services)
    with bed.channel() as channel:
        channel.queue_delete(topology.queue(bed.runner.name, service))
    return f"queue of {service} deleted"


def unbind_queue(bed: Testbed) -> str:
    """A binding is removed: its events still reach others, and the broker confirms them."""
    queue, key = bed.random.choice(topology.bindings(bed.contract, bed.runner.name))
    with bed.channel() as channel:
        channel.queue_unbind(queue, topology.exchange(bed.runner.name), key)
    return f"{queue.rpartition('.')[2]} unbound from {key}"


def cut(bed: Testbed) -> str:
    """Every connection is reset."""
    bed.broker.cut()
    return "lines cut"


def cut_before_confirm(bed: Testbed) -> str:
    """What is published arrives, its confirm never does."""
    for valve in bed.broker.valves:
        valve.leaking |= valve.is_back
    bed.burst()
    bed.broker.cut()
    return "lines cut before confirms"


def half_open(bed: Testbed) -> str:
    """All lines fall silent and nobody is told: heartbeats must find it out."""
    for valve in bed.broker.valves:
        valve.leaking = True
    bed.burst()
    return "lines half-open"


def slow(bed: Testbed) -> str:
    """Everything crawls; then the lines are cut amid what is on its way."""
    for valve in bed.broker.valves:
        valve.delay = 0.05
    bed.endure(0.2, 0.6)
    bed.broker.cut()
    return "lines slow, then cut"


def clogged(bed: Testbed) -> str:
    """All lines stop, come back one by one, in random order, and are cut."""
    valves = bed.broker.valves
    for valve in valves:
        valve.open.clear()
    bed.wait(0.1, 0.5)
    for valve in bed.random.sample(valves, len(valves)):
        valve.open.set()
        bed.wait(0.0, 0.02)
    bed.broker.cut()
    return "lines clogged, released at random, cut"


LINES = (cut, cut_before_confirm, half_open, slow, clogged)
