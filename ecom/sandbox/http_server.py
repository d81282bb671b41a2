"""The payment provider as an HTTP server, with faults that one may set while it runs.

`POST /captures` {order_id, amount, card}, `POST /refunds` {order_id, amount}: pence, under the
header `Idempotency-Key`; answered with {key, outcome, reason}: 200; 409 and 422 are refusals for
good; after anything else, ask again. `GET /ledger`: what was asked and what became of it. `GET`,
`PUT /faults`: see `ecom.sandbox.faults`.
"""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from ecom.effects.http_gateway import Answer
from ecom.process.performers import NotDone, OutcomeUnknown, Performer
from ecom.runtime.service import Impossible
from ecom.sandbox.faults import Faults, Luck
from ecom.sandbox.gateway import SandboxGateway
from ecom.services.payment import Capture, Refund

OrderId = Annotated[str, Meta(min_length=1, max_length=64)]
Pence = Annotated[int, Meta(ge=0, le=10**12)]


class Malformed(Exception):
    """This is no call of ours."""


class RefundIn(Struct):
    order_id: OrderId
    amount: Pence


class CaptureIn(RefundIn):
    card: Annotated[str, Meta(min_length=1, max_length=64)]


class HttpServer:
    """The HTTP interface of a `SandboxGateway`."""

    def __init__(self, gateway: SandboxGateway) -> None:
        self._gateway = gateway
        self._set(Faults())

    def application(self) -> web.Application:
        """The web application."""
        app = web.Application(middlewares=[_errors])
        app.router.add_post("/captures", self._capture)
        app.router.add_post("/refunds", self._refund)
        app.router.add_get("/ledger", self._ledger)
        app.router.add_get("/faults", self._get_faults)
        app.router.add_put("/faults", self._put_faults)
        return app

    async def _capture(self, request: web.Request) -> web.StreamResponse:
        body = await _read(request, CaptureIn)
        effect = Capture(body.order_id, body.amount, body.card)
        return await self._perform(request, self._gateway.capture, effect)

    async def _refund(self, request: web.Request) -> web.StreamResponse:
        body = await _read(request, RefundIn)
        return await self._perform(
            request, self._gateway.refund, Refund(body.order_id, body.amount)
        )

    async def _perform(
        self, request: web.Request, performer: Performer, effect: Struct
    ) -> web.StreamResponse:
        """Move money, or play the fault that is due."""
        key = _key(request)
        fate = self._luck.of(key) if self._faults != Faults() else "well"
        if fate == "before":
            raise OutcomeUnknown("the provider is out of order")
        result = await performer(key, effect)
        answer = Answer(key, type(result).__name__.lower(), getattr(result, "reason", ""))
        if self._faults.delay:
            await asyncio.sleep(self._faults.delay)
        if fate == "after" and request.transport:
            request.transport.abort()
        elif fate == "twice":
            return await _answer_twice(request, answer)
        return _json(answer)

    async def _ledger(self, request: web.Request) -> web.Response:
        return _json(self._gateway.ledger())

    async def _get_faults(self, request: web.Request) -> web.Response:
        return _json(self._faults)

    async def _put_faults(self, request: web.Request) -> web.Response:
        self._set(await _read(request, Faults))
        return await self._get_faults(request)

    def _set(self, faults: Faults) -> None:
        self._faults, self._luck = faults, Luck(faults)


@web.middleware
async def _errors(request: web.Request, handler: Callable) -> web.StreamResponse:
    try:
        return await handler(request)
    except (Malformed, Impossible, NotDone, OutcomeUnknown) as error:
        status = {Malformed: 422, Impossible: 409, NotDone: 402}.get(type(error), 503)
        key = request.headers.get("Idempotency-Key", "")
        return _json(Answer(key, "refused", str(error)), status)


async def _read(request: web.Request, kind: type) -> Any:
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(str(error)) from error


def _key(request: web.Request) -> str:
    key = request.headers.get("Idempotency-Key", "")
    if not 1 <= len(key) <= 200:
        raise Malformed("an Idempotency-Key of 1 to 200 characters is needed")
    return key


def _json(value: Any, status: int = 200) -> web.Response:
    body = msgspec.json.encode(value)
    return web.Response(status=status, body=body, content_type="application/json")


async def _answer_twice(request: web.Request, answer: Answer) -> web.StreamResponse:
    """The whole answer once more on the same connection, as from a proxy that repeats it."""
    response = _json(answer)
    await response.prepare(request)
    await response.write_eof()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    if request.transport:
        request.transport.write(head % len(response.body) + response.body)
    return response
