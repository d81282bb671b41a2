"""What a request may be: how large, how slow, over how many connections; and that what it says, it
says once, and all of it is understood.

Of two readers one may believe the first, one the last; and whoever misspells a condition would be
answered without it.
"""

import asyncio
import json
import socket
from asyncio import FIRST_COMPLETED, TimerHandle, Transport
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import parse_qsl

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from h11 import IDLE
from uvicorn.protocols.http.h11_impl import H11Protocol

from ecom.contract.envelope import MAX_BODY
from ecom.settings import shown
from ecom.stores.base import StoreUnavailable

MAX_CONNECTIONS = 500  # then 503: files and sockets for the rest of the process must remain
MAX_ACCEPTED = 600  # beyond these, a connection is closed at once, whatever it would say
HEAD_SECONDS = 10.0  # a request's head must be there in so many
MAX_REQUEST = 3 * MAX_BODY  # bytes: others wait for it; an event's order fits, é as \u00e9, too
BODY_SECONDS = 60.0  # a body must be there in so many
SOON = 0.1  # seconds: only then is it looked whether the caller waits, which costs as much again
COMMAND_SECONDS = 10.0  # a command that was not handled in so many never will be
# Two hosts or lengths are refused by h11, two tokens are none (see `ecom.api.auth`).
_ONCE = {b"content-type", b"idempotency-key"}


class Connection(H11Protocol):
    """A connection that is closed if there are too many, or if it is silent where a request's head
    should come; so silent ones leave room for others, before any token is asked for."""

    head_seconds = HEAD_SECONDS
    _awaiting: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # The loop does so only for sockets that name their protocol, as those we listen at do not.
        # Without, an answer's body waits for its head's acknowledgement, which takes 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if len(self.connections) > MAX_ACCEPTED:
            transport.abort()
        else:
            self._awaiting = self.loop.call_later(self.head_seconds, transport.abort)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not IDLE:
            self._forget()
        elif self._awaiting is None:  # a further head has begun
            self._awaiting = self.loop.call_later(self.head_seconds, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def _forget(self) -> None:
        if self._awaiting is not None:
            self._awaiting.cancel()
            self._awaiting = None


class BodyLimit:
    """Refuses a body over the limit, unread if its length is announced, and a slow one.

    Answers 400 to a request that is ambiguous, and closes its connection.
    """

    def __init__(self, app: Any, seconds: float = BODY_SECONDS) -> None:
        self._app, self._seconds = app, seconds

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        if said := _ambiguity(scope):
            answer = JSONResponse({"detail": said}, 400, {"Connection": "close"})
            return await answer(scope, receive, send)
        size = int(dict(scope["headers"]).get(b"content-length", 0))  # as announced
        read, deadline = 0, asyncio.get_running_loop().time() + self._seconds

        async def limited() -> dict:
            nonlocal read, deadline
            _fits(size)
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError as error:
                gone = {"Connection": "close"}
                raise HTTPException(408, "the body did not come in time", gone) from error
            read += len(message.get("body", b""))
            _fits(read)
            if not message.get("more_body", False):
                deadline = None  # what comes next is that the caller leaves
            return message

        await self._app(scope, limited, send)


def _fits(size: int) -> None:
    if size > MAX_REQUEST:
        # The rest is dropped unread: closing the connection would lose our answer.
        raise HTTPException(413, f"the body is over {MAX_REQUEST} bytes")


def _ambiguity(scope: dict) -> str:
    """What a request's head leaves open, in words; "" if nothing.

    Of its length, a proxy before us may believe the other, and take a part of one caller's request
    for another's (RFC 9112, 6.3).
    """
    headers = [name for name, _ in scope["headers"]]
    chunked = b"transfer-encoding" in headers
    if chunked and (b"content-length" in headers or scope["http_version"] == "1.0"):
        return "either Content-Length or Transfer-Encoding says how long a body is, not both"
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return _twice([it.decode().title() for it in headers if it in _ONCE] + [it for it, _ in query])


def _twice(names: list[str]) -> str:
    often = [name for name, times in Counter(names).most_common(1) if times > 1]
    return f"{shown(*often)} is given twice: give it once" if often else ""


class StrictRoute(APIRoute):
    """A route that answers 400 to a body in which an object has two members of one name, and 422 to
    a query's parameter that it does not know."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        known = {it.alias for it in self.dependant.query_params}

        async def strictly(request: Request) -> Response:
            if strange := sorted(request.query_params.keys() - known):
                raise RequestValidationError(
                    [{"type": "extra_forbidden", "loc": ("query", name)} for name in strange]
                )
            return await handle(_Once(request.scope, request.receive))

        return strictly


class _Once(Request):
    async def json(self) -> Any:
        return json.loads(await self.body(), object_pairs_hook=_members)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(members := dict(pairs)) < len(pairs):
        raise HTTPException(400, _twice([name for name, _ in pairs]))
    return members


async def in_time(request: Request, asked: asyncio.Future) -> Any:
    """What is answered in time, while the caller waits. Raises `StoreUnavailable`: then what was
    not done yet never will be."""
    try:
        await asyncio.wait({asked}, timeout=SOON)
        if not asked.done():
            leaving = asyncio.ensure_future(_left(request))
            either = {asked, leaving}
            await asyncio.wait(either, timeout=COMMAND_SECONDS, return_when=FIRST_COMPLETED)
            leaving.cancel()
        if asked.done():
            return asked.result()
        raise StoreUnavailable("the database cannot be written just now: try again")
    finally:
        if not asked.done():
            # Else asyncio complains that nobody has asked how several commands ended together.
            asked.add_done_callback(lambda it: it.cancelled() or it.exception())
            asked.cancel()  # and so is every command that is not handled yet


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
