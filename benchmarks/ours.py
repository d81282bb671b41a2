"""The contender that all this is about: the package's own services, in front of their own files.

The payment provider and the mailbox are the ones in files; the other contenders write the same.
"""

import json
import sys
import time

import httpx

from benchmarks.contender import Contender, Run
from ecom.bus import declare
from ecom.harness.quiescence import Watch
from ecom.shop.provision import provision, stock_shelves
from ecom_lab.shop import CONTRACT, SAGA

AT_ONCE = 1_000  # orders in one request
SKUS = tuple(f"SKU-{n:02}" for n in range(20))
STOCK = dict.fromkeys(SKUS, 10_000_000)


def order(n: int) -> dict:
    """The n-th order that every contender is given: one line, in turns of every product."""
    line = {"sku": SKUS[n % len(SKUS)], "quantity": 1, "unit_price": 1250}
    return {"customer": f"customer-{n % 1000}@example.com", "card": "4242424242424242",
            "lines": [line]}  # fmt: skip


def door(run: Run) -> str:
    """Where the order service takes orders."""
    return json.loads((run.folder / "order-1.json").read_text())["http"] + "/orders"


def _prepare(run: Run) -> None:
    provision(SAGA, run.folder)
    stock_shelves(run.folder, STOCK)
    declare(CONTRACT, run.url, run.shop)
    run.watch = Watch(CONTRACT, run.folder)


def _place(run: Run, n: int) -> float:
    chunks = [
        json.dumps([order(i) for i in range(first, min(first + AT_ONCE, n))]).encode()
        for first in range(0, n, AT_ONCE)
    ]
    with httpx.Client(timeout=120, headers={"Content-Type": "application/json"}) as client:
        begun = time.time()
        for chunk in chunks:
            client.post(door(run), content=chunk).raise_for_status()
    return begun


def _settled(run: Run) -> int:
    """Orders that were confirmed, as all are, but for the last one: that counts once all is quiet.

    As the service itself has counted: to count its rows takes the longer the more of them wait.
    """
    confirmed, total = run.tally("order", "emitted:order.confirmed"), run.tally("order", "orders")
    if confirmed < total or not total:
        return confirmed
    return total if not run.watch.look().awaited() else total - 1


ECOM = Contender(
    name="ecom",
    command=lambda service: [sys.executable, "-m", "ecom.serve", service],
    prepare=_prepare,
    place=_place,
    settled=_settled,
    environment={"ECOM_GATEWAY_URL": "", "ECOM_SMTP_URL": "", "ECOM_HTTP_TOKEN": ""},
)
