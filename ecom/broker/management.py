"""The HTTP interface of a private node: virtual hosts and users, made and unmade in milliseconds.

`rabbitmqctl` can do the same; each call of it starts an Erlang machine, which takes a second.
"""

import ssl
from collections.abc import Mapping
from typing import Any

import httpx

from ecom.broker.installation import BrokerUnavailable

SECONDS = 60.0  # how long one answer may take


def client(is_here: bool = True, timeout: float = SECONDS, **options: Any) -> httpx.Client:
    """A client of a server, which asks one on this machine without a proxy; if that is all it asks,
    also without certificates, which take 30 ms to read."""
    here = dict.fromkeys(("all://127.0.0.1", "all://localhost", "all://[::1]"))
    verify = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if is_here else True
    return httpx.Client(
        timeout=timeout, trust_env=not is_here, mounts=here, verify=verify, **options
    )


def ask(where: Mapping[str, Any], method: str, *paths: str, said: Any = None) -> list[int]:
    """Ask the node that is `where` its `http` says: the status of each answer, which is good, or
    404 for what is not there. Raises `BrokerUnavailable`."""
    try:
        with client(**where) as http:
            answers = [http.request(method, path, json=said) for path in paths]
    except httpx.TransportError as error:
        raise BrokerUnavailable(f"The private RabbitMQ does not answer: {error}.") from error
    for path, answer in zip(paths, answers, strict=True):
        if not (answer.is_success or answer.status_code == 404):
            raise BrokerUnavailable(f"The private RabbitMQ refused {method} {path}: {answer.text}")
    return [answer.status_code for answer in answers]
