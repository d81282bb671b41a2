"""The shop's side of the sandbox: where its servers listen, and which faults they play."""

import os
import secrets
import socket
from typing import Any

import httpx

from ecom.broker.management import client
from ecom.errors import ServiceDown, ShopError
from ecom.harness.processes import Program
from ecom.sandbox import SERVERS


class Sandbox:
    """A payment provider and a mail server to run beside the services: processes, or files.

    A server that the environment names is not ours, nor are its books: ours are empty then. The
    ports are ours until `close`: a server that is killed and started again keeps its address.
    """

    def __init__(self, as_processes: bool) -> None:
        self._ports: list[socket.socket] = []
        self.environment: dict[str, str] = {}  # where the servers are; "": files
        self.programs: dict[str, Program] = {}  # of the processes that are to be started, by name
        for name, server in SERVERS.items():
            address = os.environ.get(server.variable, "") if as_processes else ""
            if as_processes and not address:
                self._ports.append(_reserve())
                # Any user of this machine can reach the port: the password is the shop's own.
                user = f"shop:{secrets.token_hex(16)}@"
                address = server.url.format(user, *self._ports[-1].getsockname())
                run, told = "ecom.sandbox.__main__:main", {server.variable: address}
                self.programs[name] = Program(run, ([name],), (server.module,), told)
            self.environment[server.variable] = address

    @property
    def gateway(self) -> str:
        """Where the payment provider of our own is; "" if there is none."""
        return self.environment["ECOM_GATEWAY_URL"] if "gateway" in self.programs else ""

    def close(self) -> None:
        """Give the ports back."""
        for port in self._ports:
            port.close()


def put_faults(url: str | None, faults: dict[str, Any]) -> None:
    """Say what goes wrong at the sandbox's payment provider at this address; see
    `ecom.sandbox.faults.Faults`. Raises `ShopError`, also without an address."""
    if not url:
        raise ShopError("This shop has no gateway of its own, so nothing can go wrong there.")
    try:
        with client() as http:
            answer = http.put(f"{url}/faults", json=faults)
    except httpx.TransportError as error:
        raise ServiceDown(
            f"The gateway does not answer ({error}); if it was killed, start it with "
            "start('gateway')."
        ) from error
    if not answer.is_success:
        raise ShopError(f"The gateway knows no such fault: {answer.json()['reason']}")


def _reserve() -> socket.socket:
    """A port of the loopback, held without listening: our child may bind it and listen, too."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind(("127.0.0.1", 0))
    return held
