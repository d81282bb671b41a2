"""Queues deleted and unbound while orders run: the broker forgets, the shop must not."""

from contextlib import closing

import pika

from ecom.amqp.connection import parameters
from ecom.contract import topology
from ecom_lab.chaos.environments import watchful
from ecom_lab.chaos.fault import Fault, Size, salvo
from ecom_lab.chaos.testbed import Stage
from ecom_lab.shop import CONTRACT, SERVICES


def delete(stage: Stage) -> str:
    """A queue is deleted with all that is in it."""
    service = stage.random.choice(SERVICES)
    with closing(pika.BlockingConnection(parameters(stage.shop.amqp_url))) as connection:
        connection.channel().queue_delete(topology.queue(stage.shop.name, service))
    return f"queue of {service} deleted"


def unbind(stage: Stage) -> str:
    """A binding is removed: its events still reach others, and the broker confirms them."""
    queue, key = stage.random.choice(topology.bindings(CONTRACT, stage.shop.name))
    with closing(pika.BlockingConnection(parameters(stage.shop.amqp_url))) as connection:
        connection.channel().queue_unbind(queue, topology.exchange(stage.shop.name), key)
    return f"{queue.rpartition('.')[2]} unbound from {key}"


FAULTS = (
    Fault(
        "topology", "queues deleted and unbound under load",
        salvo(delete, unbind, gap=(0.2, 1.5)), small=Size(200, 3), full=Size(5_000, 40),
        ground=watchful, bites=False,
    ),
)  # fmt: skip
