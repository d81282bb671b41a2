"""The API's floor: the same framework and server, and nothing done: every answer is the same bytes.

No token, no validation, no database, no broker. The body of a request is read, and thrown away.
"""

import os
import socket
import sys
from pathlib import Path

from fastapi import FastAPI, Request, Response

from benchmarks.contender import Contender
from ecom.api.app import server
from ecom.process.lifecycle import collect_rarely, run, write_note

SUMMARY = (
    b'"order_id":"1001","state":"CONFIRMED","reason":null,"customer":"customer-0@example.com",'
    b'"total":1250,"placed_at":"2026-01-01T12:00:00.000Z"'
)
ORDER = b'{%b,"lines":[{"sku":"SKU-00","quantity":1,"unit_price":1250}]}' % SUMMARY
PAGE = b"[%b]" % b",".join([b"{%b}" % SUMMARY] * 100)

app = FastAPI()


@app.post("/orders")
async def place_orders(request: Request) -> Response:
    await request.body()
    return Response(ORDER, 202, media_type="application/json")


@app.get("/orders/{order_id}")
async def get_order(order_id: str) -> Response:
    return Response(ORDER, media_type="application/json")


@app.get("/orders")
async def list_orders() -> Response:
    return Response(PAGE, media_type="application/json")


async def _main(folder: Path) -> None:
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    collect_rarely()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    write_note(folder, "order", http=url)
    await server(app).serve(sockets=[listening])


API_FLOOR = Contender(
    name="floor",
    command=lambda _: [sys.executable, "-m", "benchmarks.api_floor"],
    place=lambda run, n: None,
    settle=lambda run: None,
    processes=("order",),
)

if __name__ == "__main__":
    run(_main(Path(os.environ["ECOM_FOLDER"])))
