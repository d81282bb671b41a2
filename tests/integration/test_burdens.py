"""What is too much for the API: refused early, and in nobody else's way."""

import asyncio
import json
from contextlib import ExitStack, suppress
from functools import partial

import pytest
import serving
import uvicorn
from fastapi import HTTPException
from serving import ORDER, connect
from uvicorn.server import ServerState

from ecom.api.limits import MAX_ACCEPTED, MAX_CONNECTIONS, MAX_REQUEST, BodyLimit, Connection

HEAD = (
    b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
)


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    """A client that needs no token."""
    with serving.api(tmp_path_factory.mktemp("api")) as client:
        yield client


def test_a_body_announced_as_too_large_is_refused_unread(api):
    """Not a byte of it comes, and the answer does, without asking for it to be sent."""
    with connect(api) as socket:
        socket.sendall(HEAD % (17 * 2**20) + b"Expect: 100-continue\r\n\r\n")
        assert socket.recv(1_000).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "request_", [b"GET /" + b"x" * 70_000, b"GET /health HTTP/1.1\r\nX: " + b"x" * 70_000]
)
def test_a_head_over_64_kib_is_refused_unended(api, request_):
    """However long the address or a header would go on to be."""
    with connect(api) as socket:
        socket.sendall(request_)
        assert socket.recv(1_000).startswith(b"HTTP/1.1 400 ")


def test_slow_bodies_are_in_nobodys_way(api):
    """Forty begin and do not go on: others are answered, and so is the slow one that ends."""
    body = json.dumps(ORDER).encode()
    with ExitStack() as stack:
        slow = [stack.enter_context(connect(api)) for _ in range(40)]
        for socket in slow:
            socket.sendall(HEAD % len(body) + b"\r\n" + body[:20])
        assert api.post("/orders", json=ORDER).status_code == 202
        slow[-1].sendall(body[20:])
        assert slow[-1].recv(1_000).startswith(b"HTTP/1.1 202 ")


def test_a_body_that_does_not_come_is_not_awaited_for_ever():
    """The request ends, with a status that says so."""

    async def application(scope, receive, send):
        while (await receive())["more_body"]:
            pass

    parts = iter([b"so far"])

    async def receive():
        for part in parts:
            return {"type": "http.request", "body": part, "more_body": True}
        await asyncio.Event().wait()

    scope = {"headers": [], "query_string": b""}
    with pytest.raises(HTTPException) as refused:
        asyncio.run(BodyLimit(application, seconds=0.05)(scope, receive, None))
    assert refused.value.status_code == 408
    assert refused.value.headers == {"Connection": "close"}


def test_too_many_connections_are_refused_and_forgotten(api):
    """So files and sockets remain for the broker and the database; and it is well afterwards."""
    with ExitStack() as stack:
        for _ in range(MAX_CONNECTIONS):
            stack.enter_context(connect(api))
        with connect(api) as socket:
            socket.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert socket.recv(1_000).startswith(b"HTTP/1.1 503 ")


def test_silent_connections_above_a_number_are_closed_at_once(api):
    """Before they have sent a byte; those below it are not."""
    with ExitStack() as stack:
        held = [stack.enter_context(connect(api)) for _ in range(MAX_ACCEPTED)]
        assert stack.enter_context(connect(api)).recv(1) == b""
        held[0].sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert held[0].recv(1_000).startswith(b"HTTP/1.1 503 ")


@pytest.mark.parametrize("first", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_a_head_that_does_not_come_is_not_awaited_for_ever(first):
    """Nor one of which something comes, nor the second on a connection."""

    class Hasty(Connection):
        head_seconds = 0.1

    async def application(scope, receive, send):
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async def scene():
        loop = asyncio.get_running_loop()
        config = uvicorn.Config(application, http=Hasty, lifespan="off", log_config=None)
        made = partial(Hasty, config, ServerState(), {}, loop)
        async with await loop.create_server(made, "127.0.0.1", 0) as server, asyncio.timeout(30):
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(first)
            if first:
                await reader.readuntil(b"\r\n\r\n")
            writer.write(b"G")
            with suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()

    asyncio.run(scene())


@pytest.mark.parametrize("head", ["HTTP/1.1\r\nContent-Length: 3", "HTTP/1.0"])
def test_a_request_that_tells_its_length_in_two_ways_is_refused(api, head):
    """And its connection is closed: nobody agrees on what comes next. So is HTTP/1.0's, which
    knows no chunks."""
    with connect(api) as socket:
        lines = f"GET /health {head}\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        socket.sendall(lines.encode())
        with socket.makefile("rb") as answer:
            said = answer.read()  # to the end
    assert said.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "head", ["Host: y", "Content-Length: 0\r\nContent-Length: 1", "Content-Length: 1, 2"]
)
def test_a_head_that_says_two_things_is_refused(api, head):
    """Two hosts, or two lengths, one of which somebody before us may have believed."""
    with connect(api) as socket:
        socket.sendall(f"GET /health HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode())
        assert socket.recv(1_000).startswith(b"HTTP/1.1 400 ")


CROWD = ",".join(f'"k{n}":0' for n in range(60_000))
NONSENSE = {
    "too much": ("[" + "{}," * 300_000, 413),
    "an order of unknown keys": (f'{{"customer":"a@b","card":"x","lines":[],{CROWD}}}', 422),
    "one in a list": (f"[{{{CROWD}}}]", 422),
    "a crowd of orders": ("[" + "{}," * 200_000 + "{}]", 422),
    "no list": ("[" + "{}," * 200_000, 422),
    "a list in a list": ("[" * 700_000, 400),
    "not a number": (f"[NaN,{{{CROWD}}}]", 422),
    "a mistake in each order": ("[" + '{"x":1},' * 999 + "{}]", 422),
}


@pytest.mark.parametrize(("body", "status"), NONSENSE.values(), ids=NONSENSE)
def test_much_nonsense_is_refused_shortly(api, body, status):
    """However many mistakes there are, few are named."""
    answer = api.post("/orders", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert len(answer.content) < 5_000


def test_an_order_with_all_its_names_escaped_is_taken(api):
    """As many programs write them: an event holds it, though it is three times as long here."""
    lines = [{"sku": "é" * 60 + f"{n:03}", "quantity": 1, "unit_price": 1} for n in range(1_000)]
    body = json.dumps({**ORDER, "lines": lines})
    assert MAX_REQUEST / 2 < len(body) < MAX_REQUEST
    assert api.post(
        "/orders", content=body, headers={"Content-Type": "application/json"}
    ).is_success


def test_after_all_that_orders_are_taken(api, wait_for):
    wait_for(lambda: api.post("/orders", json=ORDER).status_code == 202)
