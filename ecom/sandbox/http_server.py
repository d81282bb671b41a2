"""The payment provider as an HTTP server, with faults that one may set while it runs.

`POST /captures` {order_id, amount, card}, `POST /refunds` {order_id, amount, capture} (the key of
what is given back): pence, under the header `Idempotency-Key`; answered with {key, outcome,
reason}: 200; 409 and 422 are refusals for good; after anything else, ask again. `GET /captures` or
`/refunds?key=…`: the same answer, or 404. `GET /ledger`: what was asked and what became of it.
`GET`, `PUT /faults`: see `ecom.sandbox.faults`. A merchant shows a password (HTTP Basic), if there
is one.
"""

import asyncio
import hmac
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import msgspec
from aiohttp import BasicAuth, web
from msgspec import Meta

from ecom.effects.http_gateway import Answer
from ecom.events import CARD_DECLINED
from ecom.process.performers import NotDone, OutcomeUnknown, Performer
from ecom.runtime.service import Impossible
from ecom.sandbox.faults import Faults, Luck
from ecom.sandbox.gateway import SandboxGateway
from ecom.services.payment import Capture, Refund

Text = Annotated[str, Meta(min_length=1, max_length=64)]
Pence = Annotated[int, Meta(ge=0, le=10**12)]


class RefundIn(Refund, frozen=True):
    order_id: Text
    amount: Pence
    capture: Annotated[str, Meta(max_length=200)] = ""


class CaptureIn(Capture, frozen=True):
    order_id: Text
    amount: Pence
    card: Text


class HttpServer:
    """The HTTP interface of a `SandboxGateway`; with a `secret`, for those who have it as their
    password."""

    def __init__(self, gateway: SandboxGateway, secret: str = "") -> None:
        self._gateway, self._secret, self._luck = gateway, secret, Luck(Faults())
        self.application = web.Application(middlewares=[self._known, _errors])
        self.application.add_routes(
            [
                web.post("/captures", partial(self._perform, CaptureIn, gateway.capture)),
                web.post("/refunds", partial(self._perform, RefundIn, gateway.refund)),
                web.get("/captures", partial(self._find, "capture")),
                web.get("/refunds", partial(self._find, "refund")),
                web.get("/ledger", self._ledger),
                web.get("/faults", self._faults),
                web.put("/faults", self._faults),
            ]
        )

    @web.middleware
    async def _known(self, request: web.Request, handler: Callable) -> web.StreamResponse:
        shown = request.headers.get("Authorization", "").encode()
        ours = BasicAuth("shop", self._secret).encode().encode()
        if self._secret and not hmac.compare_digest(shown, ours):
            return web.Response(status=401, headers={"WWW-Authenticate": "Basic"})
        return await handler(request)

    async def _perform(
        self, kind: type, performer: Performer, request: web.Request
    ) -> web.StreamResponse:
        """Move money, or play the fault that is due."""
        effect = msgspec.json.decode(await request.read(), type=kind)
        key = request.headers.get("Idempotency-Key", "")
        if not 1 <= len(key) <= 200:
            raise msgspec.ValidationError("an Idempotency-Key of 1 to 200 characters is needed")
        luck, fate = self._luck, self._luck.of(key)
        if fate == "before":
            raise OutcomeUnknown("the provider is out of order")
        result = await performer(key, effect)
        answer = Answer(key, type(result).__name__.lower(), getattr(result, "reason", ""))
        if luck.faults.delay:
            await asyncio.sleep(luck.faults.delay)
        if fate == "after" and request.transport:
            request.transport.abort()
        if fate == "twice" and request.transport:
            # Once more on the same connection, as from a proxy that repeats it.
            body = msgspec.json.encode(answer)
            request.transport.write(_HEAD % len(body) + body)
        return _json(answer)

    async def _find(self, kind: str, request: web.Request) -> web.Response:
        """What became of the call under a key, however long ago that was."""
        key = request.query.get("key", "")
        if (row := self._gateway.find(key, kind)) is None:
            return _json(Answer(key, "unknown"), 404)
        return _json(Answer(key, row.outcome, CARD_DECLINED if row.outcome == "declined" else ""))

    async def _ledger(self, request: web.Request) -> web.Response:
        return _json(self._gateway.ledger())

    async def _faults(self, request: web.Request) -> web.Response:
        if request.method == "PUT":
            self._luck = Luck(msgspec.json.decode(await request.read(), type=Faults))
        return _json(self._luck.faults)


_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
_STATUSES = {Impossible: 409, NotDone: 402, OutcomeUnknown: 503}  # else 422: it cannot be read


@web.middleware
async def _errors(request: web.Request, handler: Callable) -> web.StreamResponse:
    try:
        return await handler(request)
    except (*_STATUSES, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        key = request.headers.get("Idempotency-Key", "")
        return _json(Answer(key, "refused", str(error)), _STATUSES.get(type(error), 422))


def _json(value: Any, status: int = 200) -> web.Response:
    body = msgspec.json.encode(value)
    return web.Response(status=status, body=body, content_type="application/json")


@asynccontextmanager
async def serve(folder: Path, listening: socket.socket, secret: str = "") -> AsyncIterator[None]:
    """Serve the payment provider whose ledger is in `folder`."""
    gateway = SandboxGateway(folder)
    application = HttpServer(gateway, secret).application
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.SockSite(runner, listening, backlog=1024).start()
    yield
    await runner.cleanup()
    await gateway.close()
