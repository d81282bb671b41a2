"""Plain pika: a blocking connection, one confirm and one commit a message.

After RabbitMQ's tutorials for Python, and pika's own examples of publisher confirms.
"""

import json
import sys
from typing import Any

import pika
import saga


def main(name: str) -> None:
    """Run one service, or `place` orders."""
    channel = pika.BlockingConnection(pika.URLParameters(saga.URL)).channel()
    channel.confirm_delivery()
    if name == "place":
        for event in saga.orders():
            publish(channel, event)
        return
    service = saga.Service(name)

    def on_message(channel: Any, method: Any, properties: Any, body: bytes) -> None:
        if following := service.handle(json.loads(body)):
            publish(channel, following)
        channel.basic_ack(method.delivery_tag)

    channel.basic_qos(prefetch_count=200)
    channel.basic_consume(f"{saga.SHOP}.{name}", on_message)
    saga.ready(name)
    channel.start_consuming()


def publish(channel: Any, event: saga.Event) -> None:
    """Publish persistently; returns once the broker has it safe."""
    properties = pika.BasicProperties(delivery_mode=2, content_type="application/json")
    channel.basic_publish(
        saga.EXCHANGE, event["type"], json.dumps(event).encode(), properties, mandatory=True
    )


main(sys.argv[1])
