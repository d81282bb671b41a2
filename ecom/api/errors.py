"""Errors of the HTTP API: one shape for all of them, and each of them in the OpenAPI document."""

import re
from functools import partial
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from ecom.services.order import KeyReused, NoSuchOrder
from ecom.stores.base import StoreBroken, StoreUnavailable

MAX_FIELD_ERRORS = 20  # in one answer


class Error(BaseModel):
    """What is wrong."""

    detail: str


class FieldError(BaseModel):
    """Where something is wrong, and what."""

    loc: list[str]
    msg: str
    type: str


class ValidationErrors(BaseModel):
    """What is wrong with what was sent."""

    detail: list[FieldError] | str


_DESCRIPTIONS = {
    400: "The body cannot be read as JSON at all, or something is told twice: its length, a "
    "header, a parameter, a member of an object.",
    401: "There is no token, or one that is forged or has expired.",
    403: "The token is a customer's, and this is not theirs to do.",
    404: "There is nothing of that name; to a customer, another's order is nothing.",
    408: "The body did not come in time.",
    409: "No tokens are needed here: ECOM_HTTP_TOKEN is not set.",
    413: "The body is too large.",
    422: "Something is wrong with what was sent: where, and what.",
    503: "The database cannot be had just now, and what was not done yet never will be: try again, "
    "under the same Idempotency-Key if there was one.",
}
_STATUSES = {NoSuchOrder: 404, KeyReused: 422, StoreUnavailable: 503, StoreBroken: 503}
# For the document only: authentication looks at the token before the body is read.
_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "description": "The checkout's token, or a customer's.",
}


def responses(*statuses: int) -> dict[str, Any]:
    """For a route that asks for a token: what it may answer besides success, as documented."""
    every = {it: documented(it) for it in sorted({400, 401, 422, 503, *statuses})}
    every[401]["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    every[422]["model"] = ValidationErrors
    return {"responses": every, "openapi_extra": {"security": [{"token": []}]}}


def documented(status: int) -> dict[str, Any]:
    """An error's place in the document."""
    return {"model": Error, "description": _DESCRIPTIONS[status]}


def handle_errors(app: FastAPI) -> None:
    """Have the application answer our errors as documented, and document the token."""
    for error, status in _STATUSES.items():
        app.add_exception_handler(error, partial(_answer, status))
    app.add_exception_handler(RequestValidationError, _invalid)
    app.openapi = lambda: _with_scheme(FastAPI.openapi(app))


def _with_scheme(document: dict[str, Any]) -> dict[str, Any]:
    document["components"]["securitySchemes"] = {"token": _SCHEME}
    return document


async def _answer(status: int, _: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, status)


async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
    """Which field is wrong, and why; never what was sent: it may be a card, or not even text."""
    detail = []
    for each in error.errors()[:MAX_FIELD_ERRORS]:
        where = [str(part)[:100] for part in each["loc"]]
        detail.append({"loc": where, "msg": words(each), "type": each["type"]})
    return JSONResponse({"detail": detail}, 422)


# What a text should be, for people; patterns are for programs, and in the document.
_FORMS = {
    "customer": "should be an e-mail address",
    "card": "should be letters, digits, - and _, at most 64",
    "sku": "should be text that can be printed",
    "order_id": "should be an order's number",
    "after": "should be an order's number",
    "Idempotency-Key": "should be ASCII without spaces",
}
_WORDS = {
    "missing": "is needed",
    "extra_forbidden": "is not known here",
    "model_type": "should be an object",
    "model_attributes_type": "should be an object",
    "list_type": "should be a list",
    "int_type": "should be a whole number",
    "int_parsing": "should be a whole number",
    "int_from_float": "should be a whole number",
    "int_parsing_size": "should be a smaller number",
    "finite_number": "should be a whole number",
    "string_type": "should be text",
    "string_unicode": "should be text that can be written as UTF-8",
    "json_invalid": "is not JSON",
}


def words(error: dict[str, Any]) -> str:
    """What is wrong, so that it follows where: `order, customer: should be an e-mail address`."""
    if error["type"] == "string_pattern_mismatch":
        return _FORMS.get(str(error["loc"][-1]), "should look otherwise")
    said = re.sub("^(Value error, |Input |String |List )", "", error.get("msg", ""))
    return _WORDS.get(error["type"], said.replace(" after validation", ""))[:300]
