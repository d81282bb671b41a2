"""Malformed and hostile messages among the orders: set aside, each of them, and nobody falls."""

from collections.abc import Iterator
from contextlib import closing

import pika

from ecom.amqp.connection import parameters
from ecom.contract import topology
from ecom_lab.chaos.fault import Fault, Size
from ecom_lab.chaos.garbage import garbage
from ecom_lab.chaos.testbed import Stage, wait_for
from ecom_lab.shop import CONTRACT, SERVICES

GROWTH = 50 * 2**20  # bytes a service may grow by
SALVO = 100  # messages a round
WARM_UP = 5  # rounds after which a service has grown to its usual size


def bombard(stage: Stage) -> Iterator[str]:
    """A salvo of garbage a round, under the keys of real events, amid the orders."""
    with closing(pika.BlockingConnection(parameters(stage.shop.amqp_url))) as connection:
        channel, expected = connection.channel(), 0
        for number in range(stage.rounds):
            stage.burst()
            if number == min(WARM_UP, stage.rounds - 1):
                before = {service: stage.resident(service) for service in SERVICES}
            expected += sum(_throw(stage, channel) for _ in range(SALVO))
            yield f"salvos of {SALVO} malformed or hostile messages"
        wait_for(lambda: _set_aside(stage, channel) >= expected, 120 + expected / 500, "burials")
        stage.shop.settle(60)
        if (found := _set_aside(stage, channel)) != expected:
            stage.problems.append(f"{expected} had to be set aside, {found} were")
    for service, least in before.items():
        if (growth := stage.resident(service) - least) > GROWTH:
            stage.problems.append(f"{service} grew by {growth / 2**20:.0f} MiB")


def _throw(stage: Stage, channel: pika.channel.Channel) -> int:
    """One piece of garbage; how many services it goes to."""
    key, headers, body = garbage(stage.random)
    properties = pika.BasicProperties(headers=headers, delivery_mode=2)
    channel.basic_publish(topology.exchange(stage.shop.name), key, body, properties)
    return len(CONTRACT.listeners(key)) + 1  # and audit


def _set_aside(stage: Stage, channel: pika.channel.Channel) -> int:
    """How many dead letters there are."""
    names = [topology.dead_queue(stage.shop.name, service) for service in SERVICES]
    return sum(channel.queue_declare(name, passive=True).method.message_count for name in names)


FAULTS = (
    Fault(
        "hostile-messages", "malformed and hostile bodies and headers among the orders",
        bombard, small=Size(200, 10), full=Size(1_000, 1_000), bites=False,
    ),
)  # fmt: skip
