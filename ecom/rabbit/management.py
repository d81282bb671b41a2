"""The HTTP interface of a private node: virtual hosts and users, made and unmade in milliseconds.

`rabbitmqctl` can do the same; each call of it starts an Erlang machine, which takes a second.
"""

from collections.abc import Iterable
from typing import Any

from ecom.rabbit.rabbitmq import BrokerUnavailable

SECONDS = 30.0  # how long one answer may take


class Management:
    """What an administrator asks of the node whose interface listens at this port."""

    def __init__(self, port: int, user: str, password: str) -> None:
        self._address = f"http://127.0.0.1:{port}/api"
        self._credentials = (user, password)

    def define(self, definitions: dict[str, Any]) -> None:
        """Make virtual hosts, users and permissions, or make them so again. Raises
        `BrokerUnavailable`.

        Source of the format: https://www.rabbitmq.com/docs/definitions.
        """
        self._ask("POST", "/definitions", definitions)

    def remove(self, vhost: str, users: Iterable[str]) -> bool:
        """Delete a virtual host with all that is in it, and users; whether there was such a host.

        Raises `BrokerUnavailable`.
        """
        status = self._ask("DELETE", f"/vhosts/{vhost}")
        self._ask("POST", "/users/bulk-delete", {"users": list(users)})
        return status != 404

    def _ask(self, method: str, path: str, said: Any = None) -> int:
        import httpx  # here: a node is started and stopped without it

        try:
            answer = httpx.request(method, self._address + path, json=said, timeout=SECONDS,
                                   auth=self._credentials, trust_env=False)  # fmt: skip
        except httpx.TransportError as error:
            raise BrokerUnavailable(f"The private RabbitMQ does not answer: {error}.") from error
        if answer.is_success or answer.status_code == 404:
            return answer.status_code
        raise BrokerUnavailable(f"The private RabbitMQ refused {method} {path}: {answer.text}")
