"""A client of the order service's HTTP API, as the checkout is: one sentence for each error."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx

from ecom.broker.management import client
from ecom.errors import OrderRefused, ServiceDown

AT_ONCE, BYTES_AT_ONCE = 1_000, 700_000  # orders, and bytes of them, in one request, at most


class Client:
    """Places and cancels orders at the address that `find` returns, with this token.

    The address is asked for again after a connection fails: a restarted service has a new one. One
    that `is_here`, on this machine, needs neither certificate nor proxy, and we may start it again.
    """

    def __init__(self, find: Callable[[], str], token: str | None, is_here: bool = True) -> None:
        self._find, self._is_here = find, is_here
        shown = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = client(is_here, headers={"Content-Type": "application/json", **shown})

    def place(self, orders: list[dict[str, Any]]) -> list[str]:
        """Place orders, as many a request as it may have; their ids. Raises `OrderRefused` if one
        is wrong, and none is placed; `ServiceDown`, which says how many are: all those before the
        request that failed, perhaps the first ones of that, and none after it."""
        placed: list[str] = []
        requests = list(_requests(orders))
        if len(requests) > 1:
            _check(orders)
        for number, body in requests:
            # The same key for a second try: placed once, whatever became of the first.
            key = {"Idempotency-Key": uuid4().hex}
            try:
                placed += (order["order_id"] for order in self._ask("POST", "/orders", body, key))
            except ServiceDown as error:
                sure = f"Placed: {len(placed):,} of {len(orders):,}, up to {[0, *placed][-1]}"
                raise ServiceDown(f"{error} {sure}; perhaps of the next {number:,}.") from error
        return placed

    def cancel(self, order_id: str) -> None:
        """Ask for this order to be undone. Raises `OrderRefused`."""
        self._ask("POST", f"/orders/{quote(order_id, safe='')}/cancel")

    def token(self, customer: str) -> str:
        """A token with which this customer meets their own orders. Raises `OrderRefused`."""
        return self._ask("POST", f"/customers/{quote(customer, safe='')}/token")["token"]

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _ask(self, method: str, path: str, body: bytes = b"", headers: Any = None) -> Any:
        for may_fail in (True, False):
            try:
                url = self._find() + path
                answer = self._http.request(method, url, content=body, headers=headers)
                break
            except httpx.TransportError as error:
                if not may_fail:
                    advice = "; if it was killed, start it with start('order')" * self._is_here
                    said = f"The order service does not answer ({error}){advice}."
                    raise ServiceDown(said) from error
        if answer.is_success:
            return answer.json()
        if answer.status_code >= 500:
            raise ServiceDown(f"The order service cannot answer just now: {_said(answer)}")
        raise OrderRefused(_said(answer))


def _requests(orders: list[dict[str, Any]]) -> Iterator[tuple[int, bytes]]:
    """The bodies of few requests, and how many orders are in each."""
    some, size = list[bytes](), 0
    for order in orders:
        written = json.dumps(order).encode()
        if some and (len(some) == AT_ONCE or size + len(written) > BYTES_AT_ONCE):
            yield len(some), b"[%s]" % b",".join(some)
            some, size = [], 0
        some.append(written)
        size += len(written) + 1  # and a comma
    if some:
        yield len(some), b"[%s]" % b",".join(some)


def _check(orders: list[dict[str, Any]]) -> None:
    """Raise `OrderRefused` for the first mistake that the API would name."""
    from pydantic import TypeAdapter, ValidationError  # here: they take 0.1 s

    from ecom.api.errors import words
    from ecom.api.schemas import OrderIn

    try:
        TypeAdapter(dict[str, list[OrderIn]]).validate_python({"orders": orders})
    except ValidationError as error:
        first: Any = error.errors()[0]
        raise OrderRefused(_mistake(first | {"msg": words(first)})) from error


def _said(answer: httpx.Response) -> str:
    try:
        said = answer.json()
    except ValueError:
        return answer.text[:300]
    detail = said.get("detail", said) if isinstance(said, dict) else said
    return "; ".join(map(_mistake, detail)) if isinstance(detail, list) else str(detail)


def _mistake(told: dict[str, Any]) -> str:
    """One thing that is wrong, for people: `order 1, line 2, quantity: should be …`."""
    path = " ".join(part for part in map(str, told["loc"]) if part not in ("body", "order"))
    where = re.sub(r"(order|line)s (\d+) ", lambda it: f"{it[1]} {int(it[2]) + 1}, ", path)
    return f"{where}: {told['msg']}"
