"""Malformed and hostile messages among the orders: set aside, each of them, and nobody falls."""

from collections.abc import Iterator
from contextlib import closing

import pika

from ecom.amqp.address import parameters
from ecom.contract import topology
from ecom_lab.chaos.garbage import garbage
from ecom_lab.chaos.testbed import Testbed, wait_for

GROWTH = 50 * 2**20  # bytes a service may grow by
SALVO = 100  # messages a round
WARM_UP = 5  # rounds after which a service has grown to its usual size


def bombard(bed: Testbed) -> Iterator[str]:
    """A salvo of garbage a round, under the keys of real events, amid the orders."""
    with closing(pika.BlockingConnection(parameters(bed.runner.amqp_url))) as connection:
        channel, expected = connection.channel(), 0
        for number in range(bed.rounds):
            bed.burst()
            if number == min(WARM_UP, bed.rounds - 1):
                before = {service: bed.memory(service) for service in bed.services}
            expected += sum(_throw(bed, channel) for _ in range(SALVO))
            yield f"salvos of {SALVO} malformed or hostile messages"
        wait_for(lambda: _set_aside(bed, channel) >= expected, 120 + expected / 500, "burials")
        bed.runner.settle(60)
        if (found := _set_aside(bed, channel)) != expected:
            bed.problems.append(f"{expected} had to be set aside, {found} were")
    for service, least in before.items():
        if (growth := bed.memory(service) - least) > GROWTH:
            bed.problems.append(f"{service} grew by {growth / 2**20:.0f} MiB")


def _throw(bed: Testbed, channel: pika.channel.Channel) -> int:
    """One piece of garbage; how many services it goes to."""
    key, headers, body = garbage(bed.random)
    properties = pika.BasicProperties(headers=headers, delivery_mode=2)
    channel.basic_publish(topology.exchange(bed.runner.name), key, body, properties)
    return len(bed.contract.listeners(key)) + 1  # and audit


def _set_aside(bed: Testbed, channel: pika.channel.Channel) -> int:
    """How many dead letters there are."""
    names = [topology.dead_queue(bed.runner.name, service) for service in bed.services]
    return sum(channel.queue_declare(name, passive=True).method.message_count for name in names)
