"""How the door says no: one form for every refusal, and each of them in the OpenAPI document."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from ecom.services.order import KeyReused, NoSuchOrder
from ecom.stores.base import StoreUnavailable

MAX_NEWS = 20  # mistakes told of in one answer


class Refusal(BaseModel):
    """Why not."""

    detail: str


class Mistake(BaseModel):
    """Where it is, and what."""

    loc: list[str]
    msg: str
    type: str


class Mistakes(BaseModel):
    """What is wrong with what was sent."""

    detail: list[Mistake] | str


class NotYours(Exception):
    """A customer asks for what is the checkout's, or another customer's."""


class NoToken(Exception):
    """A token is asked for at a door that has none."""


_WHY = {
    400: "The body cannot be read as JSON at all.",
    401: "No token is shown, or one that is forged or has expired.",
    403: "The token is a customer's, and this is not theirs to do.",
    404: "There is nothing of that name; to a customer, another's order is nothing.",
    408: "The body did not come in time.",
    409: "This door knows no tokens: it was started without one.",
    413: "The body is too large.",
    422: "Something is wrong with what was sent: where, and what.",
    503: "The database is not to be had just now: try again.",
}
_BODY = (400, 408, 413)  # of a request that has one


# For the document only: it is the doorkeeper who looks at the token, before the body is read.
_SCHEME = {"type": "http", "scheme": "bearer",
           "description": "The checkout's token, or a customer's."}  # fmt: skip


def refusals(*statuses: int, body: bool = False) -> dict[str, Any]:
    """For a route that asks for a token: what it may answer besides success, as documented."""
    every = sorted({401, 422, 503, *statuses, *(_BODY if body else ())})
    said = {
        status: {"model": Mistakes if status == 422 else Refusal, "description": _WHY[status]}
        for status in every
    }
    said[401]["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    return {"responses": said, "openapi_extra": {"security": [{"token": []}]}}


def explain(app: FastAPI) -> None:
    """Have the application answer our errors as documented, and document the token."""
    statuses = {NoSuchOrder: 404, NotYours: 403, NoToken: 409, KeyReused: 422,
                StoreUnavailable: 503}  # fmt: skip
    for error, status in statuses.items():
        app.add_exception_handler(error, _answering(status))
    app.add_exception_handler(RequestValidationError, _invalid)
    app.openapi = lambda: _with_scheme(FastAPI.openapi(app))


def _with_scheme(document: dict[str, Any]) -> dict[str, Any]:
    document["components"]["securitySchemes"] = {"token": _SCHEME}
    return document


def _answering(status: int) -> Any:
    async def answer(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status)

    return answer


async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
    """Which field is wrong, and why; never what was sent: it may be a card, or not even text."""
    detail = [
        {"loc": [str(part)[:100] for part in each["loc"]], "msg": each["msg"], "type": each["type"]}
        for each in error.errors()[:MAX_NEWS]
    ]
    return JSONResponse({"detail": detail}, 422)
