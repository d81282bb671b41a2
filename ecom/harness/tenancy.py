"""A shop's part of the broker: its vhost, users, exchanges and queues, made and deleted.

At the private broker that is a vhost of its own, with a user for each service. At any other it is
the vhost and the user that the URL names, and the shop's own are whatever begins with its name.
"""

import logging
import os
import re
import secrets
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from ecom.amqp.connection import TROUBLE, why
from ecom.broker import management
from ecom.broker.installation import BrokerUnavailable
from ecom.broker.lease import lease, private_node, shared_node
from ecom.bus import declare, remove_topology
from ecom.contract import topology
from ecom.contract.contract import Contract
from ecom.contract.topology import PROVISIONER, user, users
from ecom.settings import read_private, write_private

log = logging.getLogger("ecom")


def address(amqp_url: str, shop: str) -> str:
    """The URL at which an operator finds the shop's queues, at the broker with URL `amqp_url`."""
    if private_node(amqp_url) is None:
        return amqp_url
    return urlsplit(amqp_url)._replace(path=f"/{quote(shop, safe='')}").geturl()


def prepare(contract: Contract, amqp_url: str, shop: str) -> dict[str, str]:
    """Make the shop's exchanges and queues, and before them, at the private broker, its vhost and
    users, with new passwords; the address for each service. Raises `BrokerUnavailable`."""
    urls = _admit(contract, amqp_url, shop)
    # The private one lives: on a machine that is busy it only takes longer to say who it is.
    patience = management.SECONDS if private_node(amqp_url) else None
    try:
        declare(contract, urls[PROVISIONER], shop, patience)
    except TROUBLE as error:
        place = urlsplit(amqp_url).netloc.rpartition("@")[2]  # never the password
        raise BrokerUnavailable(
            f"The broker at {place or 'ECOM_AMQP_URL'} cannot be used ({why(error)}): start it, "
            "correct ECOM_AMQP_URL, or unset it for a private broker."
        ) from error
    return urls


def _admit(contract: Contract, amqp_url: str, shop: str) -> dict[str, str]:
    """The address for each service and the provisioner, who may use it from now on."""
    if (node := private_node(amqp_url)) is None:
        return dict.fromkeys(users(contract), amqp_url)
    ours = urlsplit(address(amqp_url, shop))
    passwords = {service: secrets.token_hex(16) for service in users(contract)}
    for definitions in _definitions(contract, shop, passwords, ours.username):
        management.ask(node.http, "POST", "/definitions", said=definitions)
    place = ours.netloc.rpartition("@")[2]
    return {
        service: ours._replace(netloc=f"{user(shop, service)}:{password}@{place}").geturl()
        for service, password in passwords.items()
    }


def _definitions(
    contract: Contract, shop: str, passwords: Mapping[str, str], operator: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The shop's vhost with its users, as RabbitMQ's HTTP interface takes them, in two steps:
    RabbitMQ 4.3 wants the exchanges to be there before the rights to their topics. Source of the
    format: https://www.rabbitmq.com/docs/definitions.

    `passwords` are by service; `operator` is an existing user, who may do everything in the vhost.
    """
    grants = {user(shop, service): grant(contract, shop, service) for service in passwords}
    plain = {"type": "topic", "durable": True, "auto_delete": False, "internal": False}
    first = {
        "vhosts": [{"name": shop}],
        "users": [
            {"name": user(shop, service), "password": password, "tags": ""}
            for service, password in passwords.items()
        ],
        "permissions": [
            {"user": who, "vhost": shop, "configure": configure, "write": write, "read": read}
            for who, (configure, write, read, _) in (*grants.items(), (operator, (".*",) * 4))
        ],
        "exchanges": [
            {"name": name, "vhost": shop, "arguments": {}, **plain}
            for name in (topology.exchange(shop), topology.dead_exchange(shop))
        ],
    }
    topics = [
        {"user": who, "vhost": shop, "exchange": exchange, "write": keys, "read": ".*"}
        for who, (*_, topics) in grants.items()
        for exchange, keys in topics.items()
    ]
    return first, {"topic_permissions": topics}


NOTHING = "^$"  # no exchange or queue has an empty name
NO_KEY = "(?!)"  # but a routing key may be empty


def grant(contract: Contract, shop: str, service: str) -> tuple[str, str, str, dict[str, str]]:
    """What the user of this service, or of the provisioner, may configure, write and read in the
    shop's vhost, and the routing keys that it may publish, by exchange: regular expressions, as
    RabbitMQ has them.

    No user has more rights than it needs. A service may write its own events and dead letters, and
    read its own queue. It declares nothing: the provisioner does, which can publish nothing.
    """

    def exactly(*names: str) -> str:
        own = [re.escape(name.removeprefix(f"{shop}.")) for name in names]
        return rf"^{re.escape(shop)}\.({'|'.join(own)})$"

    exchanges = (topology.exchange(shop), topology.dead_exchange(shop))
    if service == PROVISIONER:
        # To bind is to write to a queue and to read from an exchange; and who declares a queue
        # whose dead letters go to an exchange must be allowed to write there.
        everything = exactly(*exchanges, *topology.queues(contract, shop))
        return everything, everything, everything, dict.fromkeys(exchanges, NO_KEY)
    topics = {exchanges[0]: rf"^{service}\.", exchanges[1]: f"^{service}$"}
    return NOTHING, exactly(*exchanges), exactly(topology.queue(shop, service)), topics


def keep_broker(folder: Path, amqp_url: str) -> None:
    """Note in the shop's folder at which broker it lives, for its owner only: a URL, or nothing,
    which is the private one, wherever that listens."""
    private = private_node(amqp_url) is not None
    write_private(folder / "broker", "" if private else amqp_url)


def kept_broker(folder: Path) -> str | None:
    """The URL at which the shop in `folder` lives; "": the private broker; None: unknown."""
    return read_private(folder / "broker")


def pages_of(folder: Path) -> str:
    """Where RabbitMQ's own pages are for the shop in `folder`; "" unless it lives at the private
    one, and that runs."""
    node = shared_node()
    if kept_broker(folder) != "" or not node.alive():
        return ""
    place, login = node.http["base_url"].removesuffix("/api"), node.folder / "identity.json"
    return f"{place} (user ecom, its password is in {login})"


def lease_for(folder: Path) -> AbstractContextManager[str]:
    """A lease on `ECOM_AMQP_URL`; if it is not set, on the broker at which this shop lives."""
    return lease(None if os.environ.get("ECOM_AMQP_URL") else kept_broker(folder))


def forget_abandoned(contract: Contract, amqp_url: str, folder: Path) -> bool:
    """Do `forget` where that shop has lived, which need not be at `amqp_url`, where we are. That
    broker may be gone for good: each shop that opens tries, and none of them is to complain."""
    url = kept_broker(folder)
    if url == "":
        node = shared_node()
        return node.alive() and forget(contract, node.url, folder.name, logging.DEBUG)
    return forget(contract, url or amqp_url, folder.name, logging.DEBUG)


def forget(contract: Contract, amqp_url: str, shop: str, level: int = logging.WARNING) -> bool:
    """Delete the shop's exchanges and queues, or its vhost with all users; False if the broker
    cannot be reached."""
    try:
        node = private_node(amqp_url)
        # One by one: all at once are refused if one of them is gone already.
        whose = (f"/users/{user(shop, each)}" for each in users(contract))
        if node is None or management.ask(node.http, "DELETE", f"/vhosts/{shop}", *whose)[0] == 404:
            remove_topology(contract, amqp_url, shop)
    except (*TROUBLE, BrokerUnavailable) as error:
        log.log(level, "The queues of shop %s are still at the broker: %s", shop, why(error))
        return False
    return True
