"""A shop's queues, from the shop's own side: made, looked into, forgotten."""

import logging
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pika
from pika.exceptions import AMQPError

from ecom.bus import declare, parameters, remove_topology
from ecom.rabbitmq import BrokerUnavailable
from ecom.topology import dead_queue

log = logging.getLogger("ecom")


def prepare(amqp_url: str, shop: str) -> None:
    """Make the shop's exchange and queues. Raises `BrokerUnavailable`."""
    try:
        declare(amqp_url, shop)
    except (AMQPError, OSError, ValueError) as error:
        place = urlsplit(amqp_url).netloc.rpartition("@")[2]  # never the password
        raise BrokerUnavailable(
            f"The broker at {place or 'ECOM_AMQP_URL'} cannot be used ({error!r}): start it, "
            "correct ECOM_AMQP_URL, or unset it for a private broker."
        ) from error


def parked(amqp_url: str, shop: str, service: str) -> set[str]:
    """The ids of the events in the service's dead-letter queue, where they stay; none that are
    known of, if the broker cannot be reached."""
    try:
        # What is fetched and never acknowledged goes back when the connection closes.
        with closing(pika.BlockingConnection(parameters(amqp_url))) as connection:
            return set(_ids(connection.channel(), dead_queue(shop, service)))
    except (AMQPError, OSError):
        return set()


def _ids(channel: Any, queue: str) -> Iterator[str]:
    while True:
        method, properties, _ = channel.basic_get(queue)
        if method is None:
            return
        if id_ := (properties.headers or {}).get("ce-id"):
            yield id_


def forget(amqp_url: str, shop: str) -> bool:
    """Delete the shop's exchange and queues; False if the broker cannot be reached."""
    try:
        remove_topology(amqp_url, shop)
    except (AMQPError, OSError) as error:
        log.warning("The queues of shop %s are still at the broker: %r", shop, error)
        return False
    return True
