"""`python -m ecom.sandbox gateway` or `mail`: the payment provider, or the mail server.

It keeps its books in `ECOM_FOLDER` and listens where `ECOM_GATEWAY_URL` or `ECOM_SMTP_URL` says
(port 0: any free one); where that is, it says in a note there. With a password in that address,
it serves those only who have it. It stops as the services do.
"""

import asyncio
import os
import socket
import sys
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit

from ecom.process.lifecycle import until_stopped, write_note
from ecom.sandbox import SERVERS
from ecom.telemetry.logs import write_logs


async def _serve(name: str) -> None:
    server, folder, stop = SERVERS[name], Path(os.environ["ECOM_FOLDER"]), until_stopped()
    given = urlsplit(os.environ[server.variable])
    # Our parent may have reserved the port (see `Sandbox`).
    listening = socket.create_server((given.hostname, given.port or 0), reuse_port=True)
    # Imported here: each of the two pays for its own server only.
    async with import_module(server.module).serve(folder, listening, given.password or ""):
        write_note(folder, name, url=server.url.format("", *listening.getsockname()))
        await stop.wait()


def main(arguments: list[str]) -> None:
    """Run one of the two from the environment's settings."""
    if len(arguments) != 1 or arguments[0] not in SERVERS:
        sys.exit(f"Use: python -m ecom.sandbox with one of {', '.join(SERVERS)}.")
    (name,) = arguments
    if missing := [it for it in ("ECOM_FOLDER", SERVERS[name].variable) if it not in os.environ]:
        sys.exit(f"{missing[0]} is not set: see docs/SETTINGS.md.")
    write_logs(name, "WARNING", folder=Path(os.environ["ECOM_FOLDER"]))
    asyncio.run(_serve(name))


if __name__ == "__main__":
    main(sys.argv[1:])
