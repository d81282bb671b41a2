"""Connections to the HTTP API, as the server has them."""

import asyncio
import socket

from fastapi import FastAPI

from ecom.api.app import server


def test_an_answers_body_does_not_wait_for_its_head_to_be_acknowledged():
    """Of a connection that is kept, each answer would take 40 ms else: Nagle's algorithm."""

    async def without_delay():
        with socket.create_server(("127.0.0.1", 0)) as listening:
            serving = server(FastAPI())
            running = asyncio.ensure_future(serving.serve(sockets=[listening]))
            _, writer = await asyncio.open_connection(*listening.getsockname())
            while not (known := list(serving.server_state.connections)):
                await asyncio.sleep(0)
            ours = known[0].transport.get_extra_info("socket")
            found = ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            writer.close()
            serving.should_exit = True
            await running
            return found

    assert asyncio.run(without_delay())
