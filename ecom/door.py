"""The door: HTTP on the order service, in the same event loop as its consumer.

It is the shop's own checkout that calls: it has priced the basket and tokenised the card. An order
is accepted when its row and its event are committed, whether or not the broker is up.
"""

import asyncio
import contextlib
import hashlib
import socket
import uuid
from collections.abc import Coroutine, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import uvicorn
from fastapi import APIRouter, FastAPI, Header, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import Field

from ecom.envelope import derived_id, rfc3339
from ecom.events import Line
from ecom.forms import OneOrMany, OrderIn, OrderOut, shown
from ecom.rows import Inbox, Outbox
from ecom.services.order import CancelOrder, KeyReused, NoSuchOrder, Order, PlaceOrder
from ecom.sqlite import SqliteStore
from ecom.store import MoreThan, StoreUnavailable

if TYPE_CHECKING:
    from ecom.process import Process

MAX_REQUEST = 16 * 1024 * 1024  # bytes
MAX_NEWS = 20  # mistakes told of in one answer

router = APIRouter()

OrderPath = Annotated[str, Field(pattern=r"^[0-9]{1,18}$")]
Key = Annotated[str | None, Header(alias="Idempotency-Key", max_length=200, pattern=r"^[!-~]+$")]


@router.post("/orders", status_code=202)
async def place(
    request: Request, order: OneOrMany, idempotency_key: Key = None
) -> OrderOut | list[OrderOut]:
    """Place one order, or a list of them. Under one `Idempotency-Key`, orders are placed once."""
    process = request.app.state.process
    commands = _commands(order, idempotency_key)
    # The first one alone: if the key was used for something else, nothing of this is placed.
    placed = [await _ask(process, commands[0])]
    placed += await asyncio.gather(*[_ask(process, command) for command in commands[1:]])
    if isinstance(order, OrderIn):
        return shown(placed[0])
    return [shown(each, lines=False) for each in placed]


def _commands(order: OrderIn | list[OrderIn], key: str | None) -> list[PlaceOrder]:
    """What to do. The digest is that of the whole request: a key stands for all of it."""
    orders = order if isinstance(order, list) else [order]
    contents = [
        (it.customer, it.card,
         tuple(Line(line.sku, line.quantity, line.unit_price) for line in it.lines))
        for it in orders
    ]  # fmt: skip
    whole = msgspec.json.encode((isinstance(order, list), contents))
    digest = hashlib.sha256(whole).hexdigest()
    # No header has a space, so no other request's key is one of these.
    keys = [key, *(key and f"{key} {n}" for n in range(1, len(orders)))]
    return [
        PlaceOrder(*content, each, digest) for content, each in zip(contents, keys, strict=True)
    ]


async def _ask(process: "Process", command: PlaceOrder) -> Order:
    shop, key = process.settings.shop, command.key
    id_ = derived_id(shop, f"place/{key}") if key else str(uuid.uuid4())
    return await process.ask(id_, command)


@router.get("/orders/{order_id}")
async def one(request: Request, order_id: OrderPath) -> OrderOut:
    """One order as it stands."""
    order = _store(request).fetch(Order, order_id)
    if order is None:
        raise NoSuchOrder(f"there is no order {order_id}")
    return shown(order)


@router.get("/orders")
async def many(
    request: Request,
    state: Literal["PENDING", "CONFIRMED", "CANCELLED"] | None = None,
    after: OrderPath | None = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> list[OrderOut]:
    """Orders by number, from the one that follows `after`."""
    conditions = {"number": MoreThan(int(after or 0))} | ({"state": state} if state else {})
    orders = _store(request).select(Order, conditions, limit)
    return [shown(order, lines=False) for order in orders]


@router.post("/orders/{order_id}/cancel", status_code=202)
async def cancel(request: Request, order_id: OrderPath) -> OrderOut:
    """Cancel an order at its customer's wish; compensation follows. Repeating it is harmless."""
    process = request.app.state.process
    command_id = derived_id(process.settings.shop, f"cancel/{order_id}")
    return shown(await process.ask(command_id, CancelOrder(order_id)))


@router.get("/orders/{order_id}/history")
async def history(request: Request, order_id: OrderPath) -> list[dict[str, Any]]:
    """What the order service said and heard about an order, oldest first."""
    store = _store(request)
    if store.fetch(Order, order_id) is None:
        raise NoSuchOrder(f"there is no order {order_id}")
    said = store.select(Outbox, {"order_id": order_id, "exchange": "events"}, None)
    heard = store.select(Inbox, {"order_id": order_id}, None)
    entries = [(row.created_at, "said", row.type, row.id) for row in said]
    entries += [(row.at, "heard", row.type, row.id) for row in heard]
    return [
        {"at": rfc3339(at), "what": what, "type": type_, "id": id_}
        for at, what, type_, id_ in sorted(entries)
    ]


@router.get("/health")
async def health(request: Request) -> dict[str, Any]:
    """Whether orders are accepted (they are, if this answers), and whether the broker is there."""
    return {"status": "ok", "broker": request.app.state.process.bus.connected}


def _store(request: Request) -> SqliteStore:
    return request.app.state.process.store


def application(process: "Process | None" = None) -> FastAPI:
    """The web application (without a process: to read its OpenAPI document)."""
    app = FastAPI(title="ecom", version="1", description=__doc__, docs_url=None, redoc_url=None)
    app.include_router(router)
    app.state.process = process
    for error, status in ((NoSuchOrder, 404), (KeyReused, 422), (StoreUnavailable, 503)):
        app.add_exception_handler(error, _answering(status))
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_middleware(BodyLimit)
    return app


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


class BodyLimit:
    """Refuses a request as soon as its body is over the limit, declared or not."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        read = 0

        async def limited() -> dict:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > MAX_REQUEST:
                raise HTTPException(413, f"the body is over {MAX_REQUEST} bytes")
            return message

        await self._app(scope, limited, send)


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers: the process has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def open_door(process: "Process") -> tuple[str, Coroutine]:
    """Listen; returns the base URL and what to run to serve it."""
    host, port = process.settings.http_host, process.settings.http_port
    listening = socket.create_server((host, port), backlog=1024)
    config = uvicorn.Config(
        application(process), log_config=None, access_log=False, lifespan="off",
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    url = f"http://{host}:{listening.getsockname()[1]}"
    return url, _Server(config).serve(sockets=[listening])
