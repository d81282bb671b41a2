"""An order service without a broker, which is all that its HTTP API needs."""

import socket
from contextlib import contextmanager

import httpx
from helpers import free_port, process

from ecom.shop.provision import provision
from ecom_lab.shop import SAGA

LINE = {"sku": "TEA-COSY", "quantity": 2, "unit_price": 1250}
ORDER = {"customer": "lotte@example.com", "card": "4242424242424242", "lines": [LINE]}


def nowhere():
    """The address of a broker that is not there."""
    return f"amqp://guest:guest@127.0.0.1:{free_port()}/%2F"


@contextmanager
def api(folder, token="", **settings):
    """A client of its own of an order service in this folder, with this token, if any."""
    port = free_port()
    provision(SAGA, folder)
    service = process(
        "order",
        nowhere(),
        folder,
        "shop",
        ECOM_HTTP_PORT=str(port),
        ECOM_HTTP_TOKEN=token,
        **settings,
    )
    transport = httpx.HTTPTransport(retries=7)  # 0.5 s, 1 s, 2 s, … while it starts
    shown = {"Authorization": f"Bearer {token}"} if token else {}
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=url, transport=transport, headers=shown) as client:
            assert client.get("/health").json() == {"status": "ok", "broker": False}
            yield client
    finally:
        service.terminate()
        assert service.wait(10) == 0


def connect(client):
    """A socket to the API of this client, for what no HTTP client would do."""
    return socket.create_connection((client.base_url.host, client.base_url.port), timeout=20)
