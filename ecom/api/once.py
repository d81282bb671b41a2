"""What a request says, it says once, and all of it is understood: of two readers one may believe
the first, one the last; and whoever misspells a condition would be answered without it."""

import json
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import parse_qsl

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from ecom.settings import shown

# Two hosts or lengths are refused by h11, two tokens are none (see `ecom.api.auth`).
_ONCE = {b"content-type", b"idempotency-key"}


def ambiguity(scope: dict) -> str:
    """What a request's head leaves open, in words; "" if nothing.

    Of its length, a proxy before us may believe the other, and take a part of one caller's request
    for another's (RFC 9112, 6.3).
    """
    headers = [name for name, _ in scope["headers"]]
    chunked = b"transfer-encoding" in headers
    if chunked and (b"content-length" in headers or scope["http_version"] == "1.0"):
        return "either Content-Length or Transfer-Encoding says how long a body is, not both"
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    said = [name.decode().title() for name in headers if name in _ONCE] + [it for it, _ in query]
    return _twice(said)


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
            if strange := request.query_params.keys() - known:
                where = [("query", name) for name in sorted(strange)]
                raise RequestValidationError(
                    [{"type": "extra_forbidden", "loc": it} for it in where]
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
