"""A client of the order service's HTTP API, as the checkout is: one sentence for each error."""

import json
import re
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx

from ecom.errors import OrderRefused, ServiceDown

AT_ONCE, BYTES_AT_ONCE = 1_000, 700_000  # orders, and bytes of them, in one request, at most
SECONDS = 60.0  # how long one answer may take


class Client:
    """Places and cancels orders at the address that `find` returns, with this token.

    The address is asked for again after a connection fails: a restarted service has a new one.
    """

    def __init__(self, find: Callable[[], str], token: str | None) -> None:
        self._find = find
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # On this machine: without a proxy, and without certificates, which take 30 ms to read.
        nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._http = httpx.Client(timeout=SECONDS, headers=headers, trust_env=False, verify=nobody)

    def place(self, orders: list[dict[str, Any]]) -> list[str]:
        """Place orders, as many a request as it may have; their ids. Raises `OrderRefused` if one
        is wrong, and none is placed; `ServiceDown`, which says how many are: all those before the
        request that failed, perhaps the first ones of that, and none after it."""
        placed: list[str] = []
        parts = (orders[n : n + AT_ONCE] for n in range(0, len(orders), AT_ONCE))
        requests = [some for part in parts for some in _small_enough(part)]
        if len(requests) > 1:
            _check(orders)
        for some in requests:
            # The same key for a second try: placed once, whatever became of the first.
            key = {"Idempotency-Key": uuid4().hex}
            try:
                placed += (order["order_id"] for order in self._ask("POST", "/orders", some, key))
            except ServiceDown as error:
                sure = f"Placed: {len(placed):,} of {len(orders):,}, up to {[0, *placed][-1]}"
                raise ServiceDown(f"{error} {sure}; perhaps of the next {len(some):,}.") from error
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

    def _ask(self, method: str, path: str, body: Any = None, headers: Any = None) -> Any:
        for may_fail in (True, False):
            try:
                answer = self._http.request(method, self._find() + path, json=body, headers=headers)
                break
            except httpx.TransportError as error:
                if not may_fail:
                    raise ServiceDown(
                        f"The order service does not answer ({error}); "
                        "if it was killed, start it with shop.start('order')."
                    ) from error
        if answer.is_success:
            return answer.json()
        if answer.status_code >= 500:
            raise ServiceDown(f"The order service cannot answer just now: {_said(answer)}")
        raise OrderRefused(_said(answer))


def _small_enough(orders: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    if len(orders) == 1 or len(json.dumps(orders)) <= BYTES_AT_ONCE:
        return [orders]
    return _small_enough(orders[: len(orders) // 2]) + _small_enough(orders[len(orders) // 2 :])


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
