"""How much a caller may send, how slowly, and over how many connections."""

import asyncio
from typing import Any

from fastapi import HTTPException

MAX_CONNECTIONS = 500  # then 503: files and sockets for the rest of the process must remain
MAX_REQUEST = 16 * 1024 * 1024  # bytes of a body
BODY_SECONDS = 60.0  # a body must be there in so many


class BodyLimit:
    """Refuses a body over the limit, unread if its length is announced, and a slow one."""

    def __init__(self, app: Any, seconds: float = BODY_SECONDS) -> None:
        self._app, self._seconds = app, seconds

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        size = int(dict(scope.get("headers", ())).get(b"content-length", 0))  # as announced
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
