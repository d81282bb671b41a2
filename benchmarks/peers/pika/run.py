"""Plain pika: a blocking connection, one confirm and one commit a message.

After RabbitMQ's tutorials for Python, and pika's own examples of publisher confirms.
"""

import json
from typing import Any

import pika
import saga

channel = pika.BlockingConnection(pika.URLParameters(saga.URL)).channel()
channel.confirm_delivery()


def publish(event: saga.Event) -> None:
    """Publish persistently; returns once the broker has it safe."""
    properties = pika.BasicProperties(delivery_mode=2, content_type="application/json")
    channel.basic_publish(
        saga.EXCHANGE, event["type"], json.dumps(event).encode(), properties, mandatory=True
    )


def serve() -> None:
    """Run the service of this process."""
    service = saga.Service()

    def on_message(_: Any, method: Any, properties: Any, body: bytes) -> None:
        if following := service.handle(json.loads(body)):
            publish(following)
        channel.basic_ack(method.delivery_tag)

    channel.basic_qos(prefetch_count=200)
    channel.basic_consume(f"{saga.SHOP}.{saga.SERVICE}", on_message)
    saga.ready()
    channel.start_consuming()


saga.main(publish, serve)
