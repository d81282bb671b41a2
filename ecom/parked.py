"""What lies in a dead-letter queue: looked at, and left there."""

from collections.abc import Iterator
from typing import Any

import pika

from ecom.topology import dead_queue


def parked(amqp_url: str, shop: str, service: str) -> set[str]:
    """The ids of the events in the service's dead-letter queue."""
    connection = pika.BlockingConnection(pika.URLParameters(amqp_url))
    try:
        return set(_ids(connection.channel(), dead_queue(shop, service)))
    finally:
        connection.close()  # what was fetched and never acknowledged goes back to its place


def _ids(channel: Any, queue: str) -> Iterator[str]:
    while True:
        method, properties, _ = channel.basic_get(queue)
        if method is None:
            return
        if id_ := (properties.headers or {}).get("ce-id"):
            yield id_
