"""FastStream: a subscriber a service on a quorum queue, a topic exchange between them.

After FastStream's RabbitMQ guides: persistent messages, publisher confirms (its default),
acknowledged after the handler, prefetch set on the channel. The handlers are coroutines that
call `sqlite3` directly: in a thread, which is the alternative, each call costs more.
"""

import asyncio
import logging

import saga
from faststream import AckPolicy, FastStream, rabbit

confirming = rabbit.Channel(prefetch_count=200, publisher_confirms=True)
broker = rabbit.RabbitBroker(saga.URL, default_channel=confirming, logger=None)
app = FastStream(broker, logger=logging.getLogger("shop"))
events = rabbit.RabbitExchange(saga.EXCHANGE, type=rabbit.ExchangeType.TOPIC, durable=True)


async def say(event: saga.Event) -> None:
    """Publish persistently; returns once the broker has it safe."""
    where = {"exchange": events, "routing_key": event["type"]}
    await broker.publish(event, **where, persist=True, mandatory=True)


def subscribe() -> None:
    """Have the service listen."""
    service = saga.Service()

    async def handle(event: dict) -> None:
        if following := service.handle(event):
            await say(following)

    for key in saga.HEARS[saga.SERVICE]:
        called = f"{saga.SHOP}.faststream.{saga.SERVICE}.{key.replace('#', 'all')}"
        safely = {"durable": True, "queue_type": rabbit.QueueType.QUORUM}
        queue = rabbit.RabbitQueue(called, routing_key=key, **safely)
        broker.subscriber(queue, events, ack_policy=AckPolicy.NACK_ON_ERROR)(handle)

    @app.after_startup
    async def _() -> None:
        saga.ready()


async def place() -> None:
    """Place orders, as many as are asked for."""
    await broker.connect()
    for event in saga.orders():
        await say(event)


if saga.SERVICE == "place":
    asyncio.run(place())
else:
    subscribe()
    asyncio.run(app.run())
