"""The shop of whichever checkout is first on the path: a process that is told by lines what to do.

`place N`, `settle`, `kill SERVICE`, `start SERVICE REPLICA`: after each, it writes into `shop.done`
how many it has done. It uses nothing but `ecom.Shop`, so that one checkout can be measured beside
another. The payment provider and the mailbox are files, as the other contenders' are.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import psutil

AT_ONCE = 1_000  # orders in one request
SETTLE_SECONDS = 600.0
SKUS = tuple(f"SKU-{n:02}" for n in range(20))
STOCK = dict.fromkeys(SKUS, 10_000_000)


def order(n: int) -> dict:
    """The n-th order that every contender is given: one line, in turns of every product."""
    line = {"sku": SKUS[n % len(SKUS)], "quantity": 1, "unit_price": 1250}
    card = "4242424242424242"
    return {"customer": f"customer-{n % 1000}@example.com", "card": card, "lines": [line]}


def cpu_seconds() -> float:
    """Of this process, its children and theirs, also of those that have ended; no broker's."""
    ours = psutil.Process()
    return sum(sum(each.cpu_times()[:4]) for each in (ours, *ours.children(recursive=True)))


def write(path: Path, what: Any) -> None:
    """Write a file that is whole whenever it is there."""
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(what))
    draft.replace(path)


def obey(shop: Any, word: str, *more: str) -> None:
    """Do what one line says."""
    if word == "place":
        orders = [order(n) for n in range(int(more[0]))]
        for first in range(0, len(orders), AT_ONCE):
            shop.place_many(orders[first : first + AT_ONCE])
    elif word == "settle":
        shop.settle(SETTLE_SECONDS)
    else:
        getattr(shop, word)(*more)


def main() -> None:
    """Open a shop, say how long that took, and obey until stdin ends."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it closes in good order, when stdin ends
    folder, broker = Path(os.environ["ECOM_FOLDER"]), os.environ.get("ECOM_AMQP_URL")
    begun = time.monotonic()
    from ecom import Shop

    imported = time.monotonic()
    with Shop(STOCK, folder=folder, outside="files", **more()) as shop:
        took = {"import": imported - begun, "open": time.monotonic() - imported}
        if os.environ.get("ECOM_BENCH_PRIVATE") and shop.amqp_url == broker:
            sys.exit("This checkout does not know the broker for a private one.")
        write(folder / "shop-1.json", {"cpu": cpu_seconds(), **took})
        for done, line in enumerate(sys.stdin, 1):
            obey(shop, *line.split())
            write(folder / "shop.done", done)


def more() -> dict[str, Any]:
    """Arguments for another saga, or another place for its rows, which earlier checkouts do not
    know."""
    told: dict[str, Any] = {}
    if url := os.environ.get("ECOM_BENCH_DATABASE"):
        told["database"] = url
    if os.environ.get("ECOM_BENCH_SAGA") == "orchestration":
        from ecom.sagas.orchestration import orchestration

        told["saga"] = orchestration()
    return told


if __name__ == "__main__":
    main()
