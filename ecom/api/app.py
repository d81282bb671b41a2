"""The door: HTTP on the order service, in the same event loop as its consumer.

It is the shop's own checkout that calls: it has priced the basket and tokenised the card. An order
is accepted when its row and its event are committed, whether or not the broker is up. With a token
of their own, which the checkout asks for, customers see and cancel their own orders, and place
further ones. The door is open to all if it was started without ECOM_HTTP_TOKEN, on loopback only.
"""

import asyncio
import contextlib
import hashlib
import os
import socket
import time
from collections.abc import Coroutine, Iterator
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import uvicorn
from fastapi import APIRouter, FastAPI, Header, Query, Request, Response
from pydantic import Field

from ecom.api.auth import BodyLimit, Doorkeeper, check_lock, customer_of
from ecom.api.errors import NoToken, NotYours, explain, refusals
from ecom.api.schemas import ADDRESS, BadgeOut, Entry, Health, OneOrMany, OrderIn, OrderOut, shown
from ecom.api.tokens import BADGE_SECONDS, badge
from ecom.contract.envelope import derived_id, new_id, rfc3339
from ecom.errors import ShopError
from ecom.events import Line
from ecom.runtime.tables import Inbox, Outbox
from ecom.services.order import CancelOrder, NoSuchOrder, Order, PlaceOrder
from ecom.stores.query import MoreThan
from ecom.stores.sqlite import SqliteStore
from ecom.telemetry.metrics import TYPE
from ecom.telemetry.tracing import context_from

if TYPE_CHECKING:
    from ecom.process.driver import Process

MAX_CONNECTIONS = 500  # then 503: files and sockets for the rest of the process must remain

router = APIRouter()

OrderPath = Annotated[str, Field(pattern=r"^[0-9]{1,18}$")]
CustomerPath = Annotated[str, Field(max_length=254, pattern=ADDRESS)]
Key = Annotated[str | None, Header(alias="Idempotency-Key", max_length=200, pattern=r"^[!-~]+$")]


@router.post("/orders", status_code=202, **refusals(403, body=True))
async def place(
    request: Request, order: OneOrMany, idempotency_key: Key = None
) -> OrderOut | list[OrderOut]:
    """Place one order, or a list of them. Under one `Idempotency-Key`, orders are placed once."""
    orders = order if isinstance(order, list) else [order]
    if (customer := customer_of(request)) and any(it.customer != customer for it in orders):
        raise NotYours(f"this token places orders of {customer} only")
    # No key has a newline: what a customer calls a request is never what another one does.
    key = f"{customer}\n{idempotency_key}" if customer and idempotency_key else idempotency_key
    commands = _commands(order, key)
    # The first one alone: if the key was used for something else, nothing of this is placed.
    placed = await _ask(request, commands[:1])
    placed += await _ask(request, commands[1:])
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


async def _ask(request: Request, commands: list[PlaceOrder]) -> list[Order]:
    process, trace, now = request.app.state.process, _caller(request), time.time()
    # Under a key, too: who repeats it is given the order that there is, and no event has this id.
    return await asyncio.gather(
        *[process.ask(new_id(now, os.urandom(9)), command, trace) for command in commands]
    )


def _caller(request: Request) -> str:
    """The caller's trace, with which a new order goes on; "" if there is none."""
    return context_from(request.headers.getlist("traceparent"))


@router.get("/orders/{order_id}", **refusals(404))
async def one(request: Request, order_id: OrderPath) -> OrderOut:
    """One order as it stands."""
    return shown(_theirs(request, order_id))


def _theirs(request: Request, order_id: str) -> Order:
    """This order. Raises `NoSuchOrder`; another customer's is none, in the same words."""
    order = _store(request).fetch(Order, order_id)
    if order is None or customer_of(request) not in (None, order.customer):
        raise NoSuchOrder(f"there is no order {order_id}")
    return order


@router.get("/orders", **refusals())
async def many(
    request: Request,
    state: Literal["PENDING", "CONFIRMED", "CANCELLED"] | None = None,
    after: OrderPath | None = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> list[OrderOut]:
    """Orders by number, from the one that follows `after`."""
    wanted = {"state": state, "customer": customer_of(request)}
    conditions = {name: value for name, value in wanted.items() if value}
    conditions["number"] = MoreThan(int(after or 0))
    orders = _store(request).select(Order, conditions, limit)
    return [shown(order, lines=False) for order in orders]


@router.post("/orders/{order_id}/cancel", status_code=202, **refusals(404))
async def cancel(request: Request, order_id: OrderPath) -> OrderOut:
    """Cancel an order at its customer's wish; compensation follows. Repeating it is harmless."""
    _theirs(request, order_id)
    process = request.app.state.process
    command_id = derived_id(process.settings.shop, f"cancel/{order_id}")
    trace = _trace_of(request, order_id) or _caller(request)
    return shown(await process.ask(command_id, CancelOrder(order_id), trace))


def _trace_of(request: Request, order_id: str) -> str:
    """The order's own trace, as long as the outbox remembers; "" if it does not."""
    first = _store(request).select(Outbox, {"order_id": order_id, "exchange": "events"}, 1)
    return first[0].headers["ce-traceparent"] if first else ""


@router.get("/orders/{order_id}/history", **refusals(404))
async def history(request: Request, order_id: OrderPath) -> list[Entry]:
    """What the order service said and heard about an order, oldest first."""
    _theirs(request, order_id)
    store = _store(request)
    said = store.select(Outbox, {"order_id": order_id, "exchange": "events"}, None)
    heard = store.select(Inbox, {"order_id": order_id}, None)
    entries = [(row.created_at, "said", row.type, row.id) for row in said]
    entries += [(row.at, "heard", row.type, row.id) for row in heard]
    return [
        Entry(at=rfc3339(at), what=what, type=type_, id=id_)
        for at, what, type_, id_ in sorted(entries)
    ]


@router.post("/customers/{customer:path}/token", **refusals(403, 404, 409))
async def token(request: Request, customer: CustomerPath) -> BadgeOut:
    """A token with which this customer meets their own orders, for a day. The checkout asks."""
    if customer_of(request):
        raise NotYours("customers' tokens are for the checkout to ask for")
    if (secret := request.app.state.process.settings.http_token) is None:
        raise NoToken("this door asks for no token: with ECOM_HTTP_TOKEN set, it does")
    expires = int(time.time()) + BADGE_SECONDS
    made = badge(secret, customer, expires)
    return BadgeOut(customer=customer, token=made, expires_at=rfc3339(expires))


@router.get("/health")
async def health(request: Request) -> Health:
    """Whether orders are accepted (they are, if this answers), and whether the broker is there."""
    return Health(status="ok", broker=request.app.state.process.bus.connected)


@router.get("/metrics", include_in_schema=False)
def metrics(request: Request) -> Response:  # in a thread: it reads the database
    """The order service's metrics, for Prometheus."""
    return Response(request.app.state.process.metrics.page(), media_type=TYPE)


def _store(request: Request) -> SqliteStore:
    return request.app.state.process.store


def application(process: "Process | None" = None) -> FastAPI:
    """The web application (without a process: to read its OpenAPI document)."""
    app = FastAPI(title="ecom", version="1", description=__doc__, docs_url=None, redoc_url=None)
    app.include_router(router)
    app.state.process = process
    explain(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(Doorkeeper, token=process.settings.http_token if process else None)
    return app


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers: the process has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def open_door(process: "Process") -> tuple[str, Coroutine]:
    """Listen; returns the base URL and what to run to serve it.

    Raises `ShopError` for an address that is not to be had, or not without a token.
    """
    host, port = process.settings.http_host, process.settings.http_port
    check_lock(host, process.settings.http_token)
    try:
        listening = socket.create_server((host, port), backlog=1024)
    except OSError as error:
        raise ShopError(
            f"No door can be opened at {host}:{port} ({error.strerror}): set ECOM_HTTP_HOST and "
            "ECOM_HTTP_PORT to what is this machine's and free."
        ) from error
    # h11 and no other parser: it is the one that limits a request's head, to 64 KiB.
    config = uvicorn.Config(
        application(process), http="h11", ws="none", log_config=None, access_log=False,
        lifespan="off", proxy_headers=False, limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    url = f"http://{host}:{listening.getsockname()[1]}"
    return url, _Server(config).serve(sockets=[listening])
