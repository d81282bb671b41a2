"""Dramatiq: an actor a service; an event is sent to each actor that listens, and to audit.

Dramatiq has no publish and subscribe, so whoever says an event knows its listeners. After its
guides: `confirm_delivery`, messages acknowledged after the work, one worker thread, since a
service has one database to write to. Its queues are made quorum queues by the hook for their
arguments.
"""

import sys

import dramatiq
import saga
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.middleware import Retries, ShutdownNotifications


class QuorumBroker(RabbitmqBroker):
    """The same, on quorum queues."""

    def _build_queue_arguments(self, queue_name: str) -> dict:
        return super()._build_queue_arguments(queue_name) | {"x-queue-type": "quorum"}


middleware = [Retries(), ShutdownNotifications()]
broker = QuorumBroker(url=saga.URL, confirm_delivery=True, middleware=middleware)
dramatiq.set_broker(broker)


def say(event: saga.Event) -> None:
    """Send an event to all who listen; returns once the broker has every copy safe."""
    for name, keys in saga.HEARS.items():
        if event["type"] in keys or keys == ("#",):
            actors[name].send(event)


def actor_of(name: str) -> dramatiq.Actor:
    """The actor of one service; only in its own process does it do anything."""
    service = saga.Service() if name == saga.SERVICE else None

    def handle(event: dict) -> None:
        if following := service.handle(event):
            say(following)

    queue = f"{saga.SHOP}.dramatiq.{name}"
    return dramatiq.actor(handle, actor_name=name, queue_name=queue)


def serve() -> None:
    """Run the worker of this process's service, until whoever started us is gone."""
    queues = {actors[saga.SERVICE].queue_name}
    worker = dramatiq.Worker(broker, queues=queues, worker_threads=1, worker_timeout=100)
    worker.start()
    saga.ready()
    sys.stdin.read()
    worker.stop()


actors = {name: actor_of(name) for name in saga.HEARS}
saga.main(say, serve)
