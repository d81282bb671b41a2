"""The names and arguments of a shop's exchanges and queues, the same on every RabbitMQ version; and
the names of its users there.

One topic exchange carries the events, another the dead letters; each service has one quorum queue
for what it consumes, and one for its dead letters. The provisioner declares all of them before a
service starts, and again and again; services declare nothing.

Each service has a user, and so has the provisioner. As the broker checks the `user_id` of a
message, its consumers know who published it. What each may do is said by
`ecom.harness.tenancy.grant`.
"""

from typing import Any

from ecom.contract.contract import EVERYTHING, Contract

PROVISIONER = "provisioner"
DELIVERY_LIMIT = 5  # crashes a message may cause before the broker sets it aside
NO_LIMIT = 1_000_000  # from 4.0 the default is 20, and then looking at a dead letter would kill it


def exchange(shop: str) -> str:
    """The name of the shop's topic exchange."""
    return f"{shop}.events"


def dead_exchange(shop: str) -> str:
    """The name of the topic exchange of dead letters; their key is the service that set them aside.
    Not the default exchange: whoever may write to that may write into every queue."""
    return f"{shop}.dead"


def queue(shop: str, service: str) -> str:
    """The name of a service's queue."""
    return f"{shop}.{service}"


def dead_queue(shop: str, service: str) -> str:
    """The name of the queue of a service's dead letters."""
    return f"{shop}.{service}.dead"


def queues(contract: Contract, shop: str) -> dict[str, dict[str, Any]]:
    """Every queue's name and arguments, the dead-letter queues first."""
    dead = {"x-queue-type": "quorum", "x-delivery-limit": NO_LIMIT}
    ours = {
        "x-queue-type": "quorum",
        "x-delivery-limit": DELIVERY_LIMIT,
        # At-least-once dead lettering: the broker keeps the message until its dead letter is
        # confirmed. It asks for reject-publish; without a length limit that never rejects.
        "x-dead-letter-exchange": dead_exchange(shop),
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
    found = {dead_queue(shop, it): dead for it in contract.services}
    return found | {
        queue(shop, it): ours | {"x-dead-letter-routing-key": it} for it in contract.services
    }


def bindings(contract: Contract, shop: str) -> list[tuple[str, str]]:
    """Every binding to the events: a queue's name, and a routing key it is to receive."""
    return [
        (queue(shop, service), key)
        for service in contract.services
        for key in (*contract.listens[service], *_control_keys(contract, service))
    ]


def echo(service: str) -> str:
    """The routing key of messages that a service publishes to itself, to test its queue."""
    return f"{service}.echo"


def is_control(key: str) -> bool:
    """Whether a message under this routing key is a control message, and not an event."""
    return key.endswith((".tally", ".missing", ".echo"))


def _control_keys(contract: Contract, service: str) -> list[str]:
    """Its own echo, the tallies of services whose events it consumes, questions about its own."""
    if EVERYTHING in contract.listens[service]:
        return []  # its binding covers them
    heard = contract.consumed_by(service)
    tallies = sorted({f"{contract.by_key[key].producer}.tally" for key in heard})
    return [echo(service), "*.missing", *tallies]


def users(contract: Contract) -> tuple[str, ...]:
    """Who has a user at the broker: each service, and the provisioner."""
    return (*contract.services, PROVISIONER)


def user(shop: str, service: str) -> str:
    """The name of a service's user; it begins with the shop's, as shops may share a broker."""
    return f"{shop}.{service}"


def sender(own: str, service: str, producer: str) -> str:
    """The user of `producer`, as seen by a `service` that is connected as user `own`. Names of
    users differ in the service only: for `x.lamp`, the sensor is `x.sensor`. If `own` does not end
    in the service's name, all services share that user."""
    return own.removesuffix(service) + producer if own.endswith(service) else own
