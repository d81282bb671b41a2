"""`python -m ecom.sandbox gateway` or `mail`: the payment provider, or the mail server.

It keeps its books in `ECOM_FOLDER` and listens where `ECOM_GATEWAY_URL` or `ECOM_SMTP_URL` says
(port 0: any free one); where that is, it says in a note there. It stops as the services do.
"""

import asyncio
import os
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from ecom.process.lifecycle import until_stopped, write_note
from ecom.telemetry.logs import write_logs


@asynccontextmanager
async def gateway(folder: Path, listening: socket.socket) -> AsyncIterator[str]:
    """Serve the payment provider; its address."""
    from aiohttp import web  # here: each of the two pays for its own server only

    from ecom.sandbox.gateway import SandboxGateway
    from ecom.sandbox.http_server import HttpServer

    sandbox = SandboxGateway(folder, time.time)
    application = HttpServer(sandbox).application()
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.SockSite(runner, listening, backlog=1024).start()
    yield "http://{}:{}".format(*listening.getsockname())
    await runner.cleanup()
    await sandbox.close()


@asynccontextmanager
async def mail(folder: Path, listening: socket.socket) -> AsyncIterator[str]:
    """Serve the mail server; its address."""
    from ecom.sandbox.smtp_server import MailServer

    sandbox = MailServer(folder, time.time)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(sandbox.connected, sock=listening, backlog=128)
    yield "smtp://{}:{}".format(*listening.getsockname())
    server.close()
    sandbox.close()


PARTS = {"gateway": (gateway, "ECOM_GATEWAY_URL"), "mail": (mail, "ECOM_SMTP_URL")}


def listen(url: str) -> socket.socket:
    """Listen where `url` points. Our parent may have reserved the port (see `standins`)."""
    parts = urlsplit(url)
    return socket.create_server((parts.hostname, parts.port or 0), reuse_port=True)


async def _serve(name: str) -> None:
    serve, variable = PARTS[name]
    folder = Path(os.environ["ECOM_FOLDER"])
    stop = until_stopped()
    async with serve(folder, listen(os.environ[variable])) as url:
        write_note(folder, name, url=url)
        await stop.wait()


def main(arguments: list[str]) -> None:
    """Run one stand-in from the environment's settings."""
    (name,) = arguments
    write_logs(name, "WARNING")
    asyncio.run(_serve(name))


if __name__ == "__main__":
    main(sys.argv[1:])
