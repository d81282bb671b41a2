"""The shop's side of the sandbox: where its servers listen, and which faults they play."""

import os
import socket
from pathlib import Path
from typing import Any

import httpx

from ecom.errors import ServiceDown, ShopError
from ecom.harness.processes import Program
from ecom.sandbox.gateway import open_ledger
from ecom.sandbox.mailbox import open_mails

STANDINS = {  # name → the setting that says where it is, and how
    "gateway": ("ECOM_GATEWAY_URL", "http://127.0.0.1:{}"),
    "mail": ("ECOM_SMTP_URL", "smtp://127.0.0.1:{}"),
}
IMPORTS = {"gateway": ("ecom.sandbox.http_server",), "mail": ("ecom.sandbox.smtp_server",)}


class StandIns:
    """A payment provider and a mail server to run beside the services: processes, or files.

    A server that the environment names is not ours, nor are its books: ours are empty then. The
    ports are ours until `close`: a server that is killed and started again keeps its address.
    """

    def __init__(self, folder: Path, as_processes: bool) -> None:
        open_ledger(folder).close()
        open_mails(folder).close()
        self._ports: dict[str, socket.socket] = {}
        self.environment: dict[str, str] = {}
        for name, (variable, address) in STANDINS.items():
            if not as_processes:
                self.environment[variable] = ""
            elif not os.environ.get(variable):
                self._ports[name] = _reserve()
                port = self._ports[name].getsockname()[1]
                self.environment[variable] = address.format(port)

    @property
    def programs(self) -> dict[str, Program]:
        """What the processes run that are to be started, by name."""
        return {
            name: Program(
                "ecom.sandbox.__main__:main",
                ([name],),
                IMPORTS[name],
                {variable: self.environment[variable]},
            )
            for name, (variable, _) in STANDINS.items()
            if name in self._ports
        }

    def set_faults(self, faults: dict[str, Any]) -> None:
        """See `ecom.sandbox.faults.Faults`. Raises `ShopError` for what it does not know."""
        if "gateway" not in self._ports:
            raise ShopError("This shop has no gateway of its own, so nothing can go wrong there.")
        try:
            url = f"{self.environment['ECOM_GATEWAY_URL']}/faults"
            answer = httpx.put(url, json=faults, trust_env=False)  # on this machine: no proxy
        except httpx.TransportError as error:
            raise ServiceDown(
                f"The gateway does not answer ({error}); if it was killed, start it with "
                "shop.start('gateway')."
            ) from error
        if not answer.is_success:
            raise ShopError(f"The gateway knows no such fault: {answer.json()['reason']}")

    def close(self) -> None:
        """Give the ports back."""
        for port in self._ports.values():
            port.close()


def _reserve() -> socket.socket:
    """A port of the loopback, held without listening: our child may bind it and listen, too."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind(("127.0.0.1", 0))
    return held
