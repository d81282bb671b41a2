"""Who may do what at the broker: a user for each service, with no more rights than it needs.

A service may write its own events and dead letters, and read its own queue. It declares nothing:
the provisioner does, which can publish nothing. As the broker checks the `user_id` of a message,
its consumers know who published it.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from ecom.contract.contract import Contract
from ecom.contract.topology import dead_exchange, exchange, queue, queues

PROVISIONER = "provisioner"

NOTHING = "^$"  # no exchange or queue has an empty name
NO_KEY = "(?!)"  # but a routing key may be empty


class Grant(NamedTuple):
    """Regular expressions of what one user may configure, write and read, as RabbitMQ has them.
    `topics` are those of the routing keys it may publish, by exchange."""

    configure: str
    write: str
    read: str
    topics: dict[str, str]


def users(contract: Contract) -> tuple[str, ...]:
    """Who has a user at the broker: each service, and the provisioner."""
    return (*contract.services, PROVISIONER)


def user(shop: str, service: str) -> str:
    """The name of a service's user; it begins with the shop's, as shops may share a broker."""
    return f"{shop}.{service}"


def grant(contract: Contract, shop: str, service: str) -> Grant:
    """What the user of this service, or of the provisioner, is granted in the shop's vhost."""
    exchanges = (exchange(shop), dead_exchange(shop))
    if service == PROVISIONER:
        # To bind is to write to a queue and to read from an exchange; and who declares a queue
        # whose dead letters go to an exchange must be allowed to write there.
        everything = _exactly(shop, (*exchanges, *queues(contract, shop)))
        return Grant(everything, everything, everything, dict.fromkeys(exchanges, NO_KEY))
    topics = {exchanges[0]: rf"^{service}\.", exchanges[1]: f"^{service}$"}
    ours = _exactly(shop, [queue(shop, service)])
    return Grant(NOTHING, _exactly(shop, exchanges), ours, topics)


def sender(own: str, service: str, producer: str) -> str:
    """The user of `producer`, as seen by a `service` that is connected as user `own`. Names of
    users differ in the service only: for `x.lamp`, the sensor is `x.sensor`. If `own` does not end
    in the service's name, all services share that user."""
    return own.removesuffix(service) + producer if own.endswith(service) else own


def _exactly(shop: str, names: Iterable[str]) -> str:
    own = [re.escape(name.removeprefix(f"{shop}.")) for name in names]
    return rf"^{re.escape(shop)}\.({'|'.join(own)})$"
