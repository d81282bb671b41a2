"""Ports of the loopback that a private node can have."""

import random
import socket
from contextlib import suppress

USES = ("amqp", "http", "dist", "epmd")
# Below those that systems give to outgoing connections: one of them could take a port between our
# choice and the node's start, a few seconds later.
RANGE = range(20_000, 32_000)


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
    chosen: list[int] = []
    while len(chosen) < len(USES):
        port = random.choice(RANGE)
        if port not in chosen and free(port):
            chosen.append(port)
    return dict(zip(USES, chosen, strict=True))
