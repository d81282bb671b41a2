"""What is too much for the API: refused early, and in nobody else's way."""

import asyncio
import json
from contextlib import ExitStack

import pytest
import serving
from fastapi import HTTPException
from serving import ORDER, connect

from ecom.api.limits import MAX_CONNECTIONS, BodyLimit

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

    with pytest.raises(HTTPException) as refused:
        asyncio.run(BodyLimit(application, seconds=0.05)({"headers": []}, receive, None))
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


def test_after_all_that_orders_are_taken(api, wait_for):
    wait_for(lambda: api.post("/orders", json=ORDER).status_code == 202)
