"""The order service's HTTP API, in the same event loop as its consumer.

Its client is the shop's own checkout, which has priced the basket and tokenised the card. An order
is accepted when its row and its event are committed, whether or not the broker is up. With a token
of their own, which the checkout requests, customers see and cancel their own orders, and place
further ones. Without ECOM_HTTP_TOKEN no token is needed, and the API listens on loopback only.
"""

import asyncio
import contextlib
import hashlib
import os
import socket
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import uvicorn
from fastapi import APIRouter, FastAPI, Header, HTTPException, Query, Request, Response
from pydantic import Field

from ecom.api import schemas
from ecom.api.auth import TOKEN_SECONDS, Authentication, check_token, customer_of, customer_token
from ecom.api.errors import documented, handle_errors, responses
from ecom.api.limits import MAX_CONNECTIONS, BodyLimit, Connection, StrictRoute, in_time
from ecom.contract.envelope import command_id, new_id, rfc3339
from ecom.errors import ShopError
from ecom.events import MAILABLE, Line
from ecom.process.driver import Process
from ecom.runtime.tables import Inbox, Outbox
from ecom.services.order import CancelOrder, NoSuchOrder, Order, PlaceOrder
from ecom.stores.query import MoreThan
from ecom.stores.reading import Reading
from ecom.telemetry.metrics import TYPE
from ecom.telemetry.tracing import context_from

T = TypeVar("T")
OrderPath = Annotated[str, Field(pattern=r"^[0-9]{1,18}$")]
CustomerPath = Annotated[str, Field(max_length=254, pattern=MAILABLE)]
Key = Annotated[str | None, Header(alias="Idempotency-Key", max_length=200, pattern=r"^[!-~]+$")]
_NAMES = {"generate_unique_id_function": lambda route: route.name}
router = APIRouter(route_class=StrictRoute, **_NAMES)
probes = APIRouter(**_NAMES)  # for machines, which may add to their questions what they like


@router.post(
    "/orders",
    status_code=202,
    response_model=schemas.OrderOut | list[schemas.OrderSummary],
    **responses(403, 408, 413),
)
async def place_orders(
    request: Request, order: schemas.OneOrMany, idempotency_key: Key = None
) -> Order | list[Order]:
    """Place one order, or a list of them; once under one `Idempotency-Key`, for a week."""
    is_one = isinstance(order, schemas.OrderIn)
    orders = [order] if is_one else order
    if (customer := customer_of(request)) and any(it.customer != customer for it in orders):
        raise HTTPException(403, f"this token places orders of {customer} only")
    # No key has a newline, so the keys of two customers are never the same.
    key = f"{customer}\n{idempotency_key}" if customer and idempotency_key else idempotency_key
    commands = _commands(orders, is_one, key)
    # Under a key, the first one alone: if it was used for another request, nothing is placed.
    alone = 1 if key else len(commands)
    placed = await _place(request, commands[:alone])
    if alone < len(commands):
        placed += await _place(request, commands[alone:])
    return placed[0] if is_one else placed


def _commands(orders: list[schemas.OrderIn], is_one: bool, key: str | None) -> list[PlaceOrder]:
    """What to do. The digest is that of the whole request: a key stands for all of it."""
    contents = [
        (it.customer, it.card, tuple(Line(**vars(line)) for line in it.lines)) for it in orders
    ]
    digest = hashlib.sha256(msgspec.json.encode((not is_one, contents))).hexdigest()
    # No header has a space, so no other request's key is one of these.
    keys = [key, *(key and f"{key} {n}" for n in range(1, len(orders)))]
    return [
        PlaceOrder(*content, each, digest) for content, each in zip(contents, keys, strict=True)
    ]


async def _place(request: Request, commands: list[PlaceOrder]) -> list[Order]:
    ask, trace, now = _process(request).ask, _callers_trace(request), time.time()
    # Under a key, too: repeating it returns the existing order, and no event has this id.
    asked = [ask(new_id(now, os.urandom(9)), command, trace) for command in commands]
    return await in_time(request, asyncio.gather(*asked))


def _callers_trace(request: Request) -> str:
    """The caller's trace, with which a new order goes on; "" if there is none."""
    return context_from(request.headers.getlist("traceparent"))


@router.get("/orders/{order_id}", response_model=schemas.OrderOut, **responses(404))
async def get_order(request: Request, order_id: OrderPath) -> Order:
    """One order as it stands."""
    order = await _read(request, lambda store: store.fetch(Order, order_id))
    if order is None or customer_of(request) not in (None, order.customer):
        raise NoSuchOrder(f"there is no order {order_id}")  # in the same words for both
    return order


@router.get("/orders", response_model=list[schemas.OrderSummary], **responses())
async def list_orders(
    request: Request,
    state: Literal["PENDING", "CONFIRMED", "CANCELLED"] | None = None,
    after: OrderPath | None = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> list[Order]:
    """Orders by number, from the one that follows `after`."""
    wanted = {"state": state, "customer": customer_of(request)}
    conditions = {name: value for name, value in wanted.items() if value}
    conditions["number"] = MoreThan(int(after or 0))
    return await _read(request, lambda store: store.select(Order, conditions, limit))


@router.post(
    "/orders/{order_id}/cancel", status_code=202, response_model=schemas.OrderOut, **responses(404)
)
async def cancel_order(request: Request, order_id: OrderPath) -> Order:
    """Cancel an order at its customer's wish; compensation follows. Repeating it is harmless."""
    process, saga = _process(request), (await get_order(request, order_id)).saga
    id_ = command_id(saga or process.settings.shop, order_id)
    trace = await _read(request, partial(_trace_of, order_id)) or _callers_trace(request)
    return await in_time(request, process.ask(id_, CancelOrder(order_id), trace))


def _trace_of(order_id: str, store: Reading) -> str:
    """The order's own trace, as long as the outbox remembers; "" if it does not."""
    first = store.select(Outbox, {"subject": order_id, "exchange": "events"}, 1)
    return first[0].headers["ce-traceparent"] if first else ""


@router.get("/orders/{order_id}/history", **responses(404))
async def get_order_history(request: Request, order_id: OrderPath) -> list[schemas.HistoryEntry]:
    """The events about an order that the order service published and consumed, oldest first."""
    await get_order(request, order_id)
    ours = {"subject": order_id, "exchange": "events"}
    published = await _read(request, lambda store: store.select(Outbox, ours, None))
    consumed = await _read(request, lambda store: store.select(Inbox, {"subject": order_id}, None))
    entries = [(row.created_at, "published", row.type, row.id) for row in published]
    entries += [(row.at, "consumed", row.type, row.id) for row in consumed]
    return [
        schemas.HistoryEntry(at=rfc3339(at), what=what, type=type_, id=id_)
        for at, what, type_, id_ in sorted(entries)
    ]


@router.post("/customers/{customer:path}/token", **responses(403, 404, 409))
async def create_customer_token(request: Request, customer: CustomerPath) -> schemas.TokenOut:
    """A token with which this customer meets their own orders, for a day. The checkout asks."""
    if customer_of(request):
        raise HTTPException(403, "customers' tokens are for the checkout to ask for")
    settings = _process(request).settings
    if (secret := settings.http_token) is None:
        raise HTTPException(409, "no token is asked for here: with ECOM_HTTP_TOKEN set, it is")
    expires = int(time.time()) + TOKEN_SECONDS
    token = customer_token(secret, customer, expires, settings.shop)
    return schemas.TokenOut(customer=customer, token=token, expires_at=rfc3339(expires))


@probes.get("/health", responses={status: documented(status) for status in (400, 503)})
def get_health(request: Request) -> schemas.Health:  # in a thread: it may have to wait
    """Whether orders are accepted, which it tries, and whether the broker is there."""
    process = _process(request)
    process.databases.try_write(process.name)
    return schemas.Health(status="ok", broker=process.bus.connected)


@probes.get("/metrics", include_in_schema=False)
def get_metrics(request: Request) -> Response:  # in a thread: it reads the database
    """The order service's metrics, for Prometheus."""
    return Response(_process(request).metrics.page(), media_type=TYPE)


def _process(request: Request) -> Process:
    return request.app.state.process


async def _read(request: Request, ask: Callable[[Reading], T]) -> T:
    """Ask for what is committed; what cannot be read soon is unavailable. The event loop never
    waits: for a server, a thread does."""
    store, aside = request.app.state.store, request.app.state.aside
    if aside is None:
        return ask(store)
    return await in_time(request, asyncio.get_running_loop().run_in_executor(aside, ask, store))


def application() -> FastAPI:
    """The web application. To serve requests, it needs in `state` the order service's process, and
    a store over a connection of its own."""
    app = FastAPI(
        title="ecom",
        version="1",
        description=__doc__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # to whatever Host the caller names
    )
    app.include_router(router)
    app.include_router(probes)
    handle_errors(app)
    app.add_middleware(Authentication)
    app.add_middleware(BodyLimit)
    return app


def open_api(process: Process) -> tuple[str, Coroutine[Any, Any, None]]:
    """Listen; returns the base URL and what to run to serve it.

    Raises `ShopError` for an address that cannot be used, or not without a token.
    """
    settings, app = process.settings, application()
    host, port = settings.http_host, settings.http_port
    check_token(host, settings.http_token)
    try:
        listening = socket.create_server((host, port), backlog=1024)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "no name of a machine"
        raise ShopError(
            f"The HTTP API cannot listen at {host}:{port} ({reason}): set ECOM_HTTP_HOST "
            "and ECOM_HTTP_PORT to what is this machine's and free."
        ) from error
    app.state.process = process
    app.state.store = process.databases.reading(process.name)
    app.state.aside = ThreadPoolExecutor(1) if process.databases.is_remote else None
    url = f"http://{host}:{listening.getsockname()[1]}"
    return url, server(app).serve(sockets=[listening])


def server(app: FastAPI) -> uvicorn.Server:
    """What serves an application as the order service's is served."""
    config = uvicorn.Config(
        app,
        http=Connection,  # over h11, which limits a request's head to 64 KiB
        ws="none",
        log_config=None,
        access_log=False,
        lifespan="off",
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=1,
    )
    serving = uvicorn.Server(config)
    serving.capture_signals = contextlib.nullcontext  # the process has its own handlers
    return serving
