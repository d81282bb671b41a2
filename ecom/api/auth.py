"""The doorkeeper: who is it, and how much do they bring? Asked before anything is read.

The door's token is the checkout's, who sees and does all. A customer shows a badge (see `badges`)
and meets only what is theirs. A door without a token is open; only a loopback one may be.
"""

import asyncio
import re
from collections.abc import Awaitable
from typing import Any

from fastapi import HTTPException, Request
from fastapi.responses import JSONResponse

from ecom.api.tokens import holder, same
from ecom.errors import ShopError

OPEN = {"/health", "/metrics"}  # they tell nothing of any order
MAX_REQUEST = 16 * 1024 * 1024  # bytes
BODY_SECONDS = 60.0  # a body must be there in so many
LEAST_TOKEN = 32  # characters: nobody guesses so many

_LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}")
_TOKEN = re.compile(rf"[!-~]{{{LEAST_TOKEN},}}")


def check_lock(host: str, token: str | None) -> None:
    """Raise `ShopError` unless a door at `host` may open with this token, or with None."""
    if token is None and not _LOOPBACK.fullmatch(host):
        raise ShopError(
            f"A door at {host} is open to other machines: set ECOM_HTTP_TOKEN to {LEAST_TOKEN} or "
            "more random characters, or leave ECOM_HTTP_HOST at 127.0.0.1."
        )
    if token is not None and not _TOKEN.fullmatch(token):
        raise ShopError(
            f"ECOM_HTTP_TOKEN is no token: it needs {LEAST_TOKEN} or more printable ASCII "
            "characters, without spaces."
        )


def customer_of(request: Request) -> str | None:
    """The customer who asks; None: it is the checkout, who may do all."""
    return request.scope["customer"]


class Doorkeeper:
    """Lets in whoever shows the token, or a customer's badge; anybody, if there is no token."""

    def __init__(self, app: Any, token: str | None) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        scope["customer"] = None
        if self._token and scope["type"] == "http" and scope["path"] not in OPEN:
            shown = _shown(scope["headers"])
            if not same(shown, self._token):
                scope["customer"] = holder(self._token, shown)
                if scope["customer"] is None:
                    await _STRANGER(scope, receive, send)
                    return
        await self._app(scope, receive, send)


def _shown(headers: list[tuple[bytes, bytes]]) -> str:
    """The token of the one `Authorization: Bearer` header; of two, nobody knows whose it is."""
    values = [value for name, value in headers if name == b"authorization"]
    scheme, _, shown = (values[0] if len(values) == 1 else b"").partition(b" ")
    return shown.strip().decode("latin-1") if scheme.lower() == b"bearer" else ""


_STRANGER = JSONResponse(
    {"detail": "show a token that is good here: Authorization: Bearer …"},
    401,
    {"WWW-Authenticate": 'Bearer realm="ecom"'},
)


class BodyLimit:
    """Refuses a body over the limit, unread if its length is announced, and one that dawdles."""

    def __init__(self, app: Any, seconds: float = BODY_SECONDS) -> None:
        self._app, self._seconds = app, seconds

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        announced = int(dict(scope.get("headers", ())).get(b"content-length", 0))
        deadline = asyncio.get_running_loop().time() + self._seconds
        read, more = 0, True

        async def limited() -> dict:
            nonlocal read, more
            _fits(announced)
            message = await (_in_time(receive(), deadline) if more else receive())
            read, more = read + len(message.get("body", b"")), message.get("more_body", False)
            _fits(read)
            return message

        await self._app(scope, limited, send)


def _fits(size: int) -> None:
    if size > MAX_REQUEST:
        # What still comes is dropped unread: to hang up would lose our answer on its way.
        raise HTTPException(413, f"the body is over {MAX_REQUEST} bytes")


async def _in_time(receiving: Awaitable[dict], deadline: float) -> dict:
    try:
        async with asyncio.timeout_at(deadline):
            return await receiving
    except TimeoutError as error:
        gone = {"Connection": "close"}
        raise HTTPException(408, "the body did not come in time", gone) from error
