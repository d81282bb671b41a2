"""Ports of the loopback that a private node can have."""

import socket
from contextlib import ExitStack, suppress


def free(port: int) -> bool:
    """Whether a server could listen there now."""
    with suppress(OSError), socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        return True
    return False


def is_epmd(port: int) -> bool:
    """Whether an Erlang port mapper answers there: asked for names, it gives its port first."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as epmd:
        epmd.sendall(b"\0\1n")
        return epmd.recv(4) == port.to_bytes(4)
    return False


def usable(ports: dict[str, int] | None) -> dict[str, int]:
    """`amqp`, `http`, `dist`, `epmd` as last time if they can be had: clients find the node again.

    An epmd that survived its node serves the next one.
    """
    silent = {use for use, port in (ports or {}).items() if free(port)}
    ours = ports and {"amqp", "http", "dist"} <= silent
    if ours and ("epmd" in silent or is_epmd(ports["epmd"])):
        return ports
    with ExitStack() as held:
        uses = ("amqp", "http", "dist", "epmd")
        chosen = {use: held.enter_context(socket.socket()) for use in uses}
        for each in chosen.values():
            each.bind(("127.0.0.1", 0))
        return {use: each.getsockname()[1] for use, each in chosen.items()}
