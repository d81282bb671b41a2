"""Lists of orders from the shop's client to a real order service: all, none, or so many."""

import json
from contextlib import closing
from itertools import chain, repeat

import pytest
from helpers import free_port
from serving import LINE, ORDER, api

from ecom.api.limits import MAX_REQUEST
from ecom.errors import OrderRefused, ServiceDown
from ecom.shop.api_client import AT_ONCE, BYTES_AT_ONCE, Client, _requests


@pytest.fixture
def service(tmp_path):
    with api(tmp_path) as service:
        yield service


def address(service):
    return str(service.base_url).rstrip("/")


def test_all_orders_are_looked_at_before_the_first_request(service):
    """The last of several requests has a mistake, which the API would name: none is placed."""
    wrong = {**ORDER, "lines": [LINE, {**LINE, "quantity": 0}]}
    with closing(Client(lambda: address(service), "")) as client:
        with pytest.raises(OrderRefused) as alone:
            client.place([wrong])
        with pytest.raises(OrderRefused) as among:
            client.place([*[ORDER] * AT_ONCE, wrong])
    assert service.get("/orders").json() == []
    assert str(alone.value) == str(among.value).replace("order 1001", "order 1")


@pytest.mark.parametrize("is_here", [True, False])
def test_a_proxy_is_never_asked_for_what_is_on_this_machine(service, monkeypatch, is_here):
    """Whatever the environment says of proxies: of a shop's services, and of a deployment's."""
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    with closing(Client(lambda: address(service), "", is_here)) as client:
        assert client.place([ORDER]) == ["1001"]


def test_a_failure_midway_says_which_are_placed(service):
    """The service goes after the first request: those are placed, and nothing is tried after."""
    nobody = f"http://127.0.0.1:{free_port()}"
    where = chain([address(service)], repeat(nobody))
    told = "Placed: 1,000 of 2,001, up to 2000; perhaps of the next 1,000"
    with closing(Client(lambda: next(where), "")) as client, pytest.raises(ServiceDown, match=told):
        client.place([ORDER] * (2 * AT_ONCE + 1))
    placed = service.get("/orders", params={"limit": AT_ONCE}).json()
    assert (len(placed), placed[-1]["order_id"]) == (AT_ONCE, "2000")
    assert service.get("/orders", params={"after": "2000"}).json() == []


def test_no_request_is_larger_than_the_api_allows(service):
    """However large orders are; several go in one if they fit."""
    lines = [{"sku": f"{n:03}" + "é" * 60, "quantity": 1, "unit_price": 1} for n in range(400)]
    large = {**ORDER, "lines": lines}
    requests = list(_requests([large] * 5))
    assert [number for number, _ in requests] == [len(json.loads(body)) for _, body in requests]
    assert sum(number for number, _ in requests) == 5
    assert len(requests) < 5
    assert max(len(body) for _, body in requests) <= BYTES_AT_ONCE + 2 < MAX_REQUEST
    with closing(Client(lambda: address(service), "")) as client:
        assert client.place([large] * 5) == [str(n) for n in range(1001, 1006)]
