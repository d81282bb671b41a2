"""A shop's part of the broker: its vhost, users, exchanges and queues, made and deleted.

At the private broker that is a vhost of its own, with a user for each service. At any other it is
the vhost and the user that the URL names, and the shop's own are whatever begins with its name.
"""

import logging
import secrets
from urllib.parse import quote, urlsplit

from ecom.amqp.connection import TROUBLE, why
from ecom.broker.installation import BrokerUnavailable
from ecom.broker.lease import private_node
from ecom.bus import declare, remove_topology
from ecom.contract.contract import Contract
from ecom.contract.permissions import PROVISIONER, definitions, user, users

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
    try:
        declare(contract, urls[PROVISIONER], shop)
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
    node.management.define(definitions(contract, shop, passwords, ours.username))
    place = ours.netloc.rpartition("@")[2]
    return {
        service: ours._replace(netloc=f"{user(shop, service)}:{password}@{place}").geturl()
        for service, password in passwords.items()
    }


def forget(contract: Contract, amqp_url: str, shop: str) -> bool:
    """Delete the shop's exchanges and queues, or its vhost with all users; False if the broker
    cannot be reached."""
    try:
        node = private_node(amqp_url)
        names = [user(shop, each) for each in users(contract)]
        if node is None or not node.management.remove(shop, names):
            remove_topology(contract, amqp_url, shop)
    except (*TROUBLE, BrokerUnavailable) as error:
        log.warning("The queues of shop %s are still at the broker: %s", shop, why(error))
        return False
    return True
