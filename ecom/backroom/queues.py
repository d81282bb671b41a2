"""A shop's queues, from the shop's own side: made, looked into, forgotten."""

import logging
from urllib.parse import urlsplit

from pika.exceptions import AMQPError

from ecom.bus import declare, remove_topology
from ecom.errors import ShopError
from ecom.rabbit.rabbitmq import BrokerUnavailable
from ecom.workbench.dead_queue import desk

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
    known of, if the broker cannot be reached or somebody else has them in hand."""
    try:
        with desk(amqp_url, shop) as at:
            found = [(held.headers or {}).get("ce-id") for held in at.look(service)]
    except ShopError:
        return set()
    return {id_ for id_ in found if isinstance(id_, str)}


def forget(amqp_url: str, shop: str) -> bool:
    """Delete the shop's exchange and queues; False if the broker cannot be reached."""
    try:
        remove_topology(amqp_url, shop)
    except (AMQPError, OSError) as error:
        log.warning("The queues of shop %s are still at the broker: %r", shop, error)
        return False
    return True
