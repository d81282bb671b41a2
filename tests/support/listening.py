"""Everything a shop says, off the real wire, and a story in which it says all there is to say."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

import pika

from ecom import Shop
from ecom.bus import parameters
from ecom.contract import topology
from ecom.sandbox.cards import DECLINED_CARD


class Heard(NamedTuple):
    """One message as a client of any language gets it."""

    key: str
    properties: pika.BasicProperties
    body: bytes


@contextmanager
def listening(shop: Shop) -> Iterator[Any]:
    """From now on; calling what it yields gives all events that have come since, in order."""
    heard: list[Heard] = []
    with closing(pika.BlockingConnection(parameters(shop.amqp_url))) as connection:
        channel = connection.channel()
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(queue, topology.exchange(shop.name), "#")

        def so_far() -> list[Heard]:
            while (got := channel.basic_get(queue, auto_ack=True))[0] is not None:
                method, properties, body = got
                if not topology.is_control(method.routing_key):
                    heard.append(Heard(method.routing_key, properties, body))
            return heard

        yield so_far


def put(shop: Shop, key: str, headers: dict[str, Any], body: bytes, exchange: str = "") -> None:
    """Publish as the operator: without `exchange` straight into the queue `key`. Returns when the
    broker has it."""
    with closing(pika.BlockingConnection(parameters(shop.amqp_url))) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.basic_publish(exchange, key, body, pika.BasicProperties(headers=headers))


def say_everything(shop: Shop, so_far: Any) -> None:
    """One order that is confirmed, then cancelled; one declined, one out of stock, one expired."""
    order = shop.place("lotte@example.com", {"TEAPOT": 2, "KITE": 1})
    shop.place("dora@example.com", {"KITE": 1}, DECLINED_CARD)
    shop.place("carol@example.com", {"TEAPOT": 100_000})
    shop.settle()
    shop.cancel(order)
    for service in ("payment", "inventory"):
        shop.kill(service)
    shop.processes.start(("inventory", "1"), extra={"ECOM_HOLD_SECONDS": "0.1"})
    shop.place("emil@example.com", {"YOYO": 1})
    shop.wait_until(lambda: any(heard.key == "inventory.expired" for heard in so_far()))
    shop.start("payment")
    shop.settle()
