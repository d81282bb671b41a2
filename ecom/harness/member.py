"""One service of any saga as a process, with a small HTTP API for its commands.

`POST /TYPE`: a command as JSON, answered with what its handler returned: `[type, value]`. 409: its
handler refused it; 422: it is no such command. Callers show the token that `Running` has made.
"""

import asyncio
import hmac
import os
import pickle
import socket
import sys
import time
from collections.abc import Coroutine
from functools import partial
from typing import Any

import msgspec
from aiohttp import web

from ecom.contract.envelope import new_id
from ecom.harness.outside import performers
from ecom.process.driver import Process, main
from ecom.runtime.dead_letters import describe
from ecom.runtime.service import Service
from ecom.settings import Settings


def serve(pickled: bytes, name: str, folder: str, kind: type[Process] = Process) -> None:
    """Run a service, as this kind of process, or the provisioner, of a pickled saga and its world
    outside. Their modules may be in `folder`, where whoever starts us is; those that are installed
    come first."""
    sys.path.append(folder)
    saga, outside = pickle.loads(pickled)
    settings = Settings.from_environment()

    def make() -> Process:
        answers = outside.get(name)
        its = performers(settings.folder, saga.services[name], answers) if answers else None
        return kind(saga, name, settings, its, partial(open_commands, saga.services[name]))

    main(saga, name, settings, make)


def open_commands(service: Service, process: Process) -> tuple[str, Coroutine[Any, Any, None]]:
    """Listen on this machine; returns the base URL, and what to run to serve it."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    token = f"Bearer {process.settings.http_token}".encode()

    async def command(request: web.Request) -> web.Response:
        shown = request.headers.get("Authorization", "").encode(errors="replace")
        if not hmac.compare_digest(shown, token):
            return web.Response(status=401)
        try:
            kind = service.kinds[request.match_info["type"]]
            message = msgspec.json.decode(await request.read(), type=kind)
        except (LookupError, ValueError) as error:
            return web.Response(status=422, text=describe(error))
        try:
            answer = await process.ask(new_id(time.time(), os.urandom(9)), message)
        except Exception as error:
            return web.Response(status=409, text=describe(error))
        body = msgspec.json.encode((type(answer).__name__, answer))
        return web.Response(body=body, content_type="application/json")

    async def serving() -> None:
        app = web.Application()
        app.router.add_post("/{type}", command)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.SockSite(runner, listening, backlog=1024).start()
        try:
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()

    return "http://127.0.0.1:{1}".format(*listening.getsockname()), serving()
