"""The broker itself killed, or short of memory and disk."""

from ecom.broker.node import Node
from ecom_lab.chaos.environments import private
from ecom_lab.chaos.fault import Fault, Size, salvo
from ecom_lab.chaos.testbed import Stage
from ecom_lab.chaos.verdict import HarnessFailed


def kill(stage: Stage) -> str:
    """SIGKILL of the node, as a power cut; started again in the same folder."""
    stage.broker.kill()
    stage.burst()
    restart(stage.broker)
    return "broker killed"


def restart(node: Node) -> None:
    """Start a node that was killed. Raises `HarnessFailed` if it had to move to another port."""
    before = node.url
    node.start()
    if node.url != before:
        raise HarnessFailed("somebody took the node's port while it was down")


def memory_alarm(stage: Stage) -> str:
    """The broker takes no publishes: it is "out of memory"."""
    stage.broker.control("set_vm_memory_high_watermark", "0")
    try:
        _order_nevertheless(stage)
    finally:
        stage.broker.control("set_vm_memory_high_watermark", "absolute", "768MB")
    return "memory alarm"


def disk_alarm(stage: Stage) -> str:
    """Likewise, "out of disk"."""
    stage.broker.control("set_disk_free_limit", "100000GB")
    try:
        _order_nevertheless(stage)
    finally:
        stage.broker.control("set_disk_free_limit", "50MB")
    return "disk alarm"


def _order_nevertheless(stage: Stage) -> None:
    """The door must stay open while the alarm lasts."""
    before = len(stage.load.acknowledged)
    stage.burst()
    stage.wait(stage.seconds, stage.seconds)
    if len(stage.load.acknowledged) == before:
        stage.problems.append("no order was accepted during an alarm")


FAULTS = (
    Fault(
        "broker-kills", "SIGKILL of the broker, and a restart",
        salvo(kill, gap=(0.5, 5.0)), small=Size(300, 1), full=Size(10_000, 10), ground=private,
    ),
    Fault(
        "broker-alarms", "alarms of memory and disk at the broker",
        salvo(memory_alarm, disk_alarm, gap=(0.5, 2.0)),
        small=Size(100, 2, 1.5), full=Size(2_000, 6, 30.0), ground=private, bites=False,
    ),
)  # fmt: skip
