"""The users at the broker: one for each service, and the provisioner.

As the broker checks the `user_id` of a message, its consumers know who published it. What each may
do is said by `ecom.harness.tenancy.grant`.
"""

from ecom.contract.contract import Contract

PROVISIONER = "provisioner"


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
