"""Nameko: one container a service, `@consume` on quorum queues, a `Publisher` between them.

After Nameko's documentation of `nameko.messaging`: messages are persistent and confirmed by
default, and acknowledged when the method has returned. A container's `max_workers` is its
prefetch, too.
"""

import eventlet

eventlet.monkey_patch()

import saga  # noqa: E402 - after the patch, as Nameko's own command does it
from kombu import Connection, Exchange, Queue, binding  # noqa: E402
from nameko.messaging import Publisher, consume  # noqa: E402
from nameko.runners import ServiceRunner  # noqa: E402

events = Exchange(saga.EXCHANGE, type="topic", durable=True)


def queue(name: str) -> Queue:
    """A service's queue, bound to what it hears."""
    called = f"{saga.SHOP}.nameko.{name}"
    bindings = [binding(events, key) for key in saga.HEARS[name]]
    return Queue(called, bindings=bindings, queue_arguments={"x-queue-type": "quorum"})


class Shop:
    """The service of this process."""

    name = saga.SERVICE
    say = Publisher(exchange=events)
    work = None if saga.SERVICE == "place" else saga.Service()

    @consume(queue=queue("order" if saga.SERVICE == "place" else saga.SERVICE))
    def handle(self, event: saga.Event) -> None:
        """One event: do what is to be done, and say what follows."""
        if following := self.work.handle(event):
            self.say(following, routing_key=following["type"])


def serve() -> None:
    """Run the container until the parent is gone."""
    runner = ServiceRunner({"AMQP_URI": saga.URL, "max_workers": 10})
    runner.add_service(Shop)
    runner.start()
    saga.ready()
    runner.wait()


def place() -> None:
    """Place orders, as many as are asked for."""
    from kombu.pools import producers

    connection = Connection(saga.URL, transport_options={"confirm_publish": True})
    with producers[connection].acquire(block=True) as producer:
        for event in saga.orders():
            safely = {"serializer": "json", "delivery_mode": 2}
            producer.publish(event, exchange=events, routing_key=event["type"], **safely)


if saga.SERVICE == "place":
    place()
else:
    serve()
