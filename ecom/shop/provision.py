"""What a shop needs before its services start: databases, views, stock on the shelves."""

from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex

from ecom.process.databases import Files, Server, fill
from ecom.runtime.saga import Saga
from ecom.sandbox.gateway import open_ledger
from ecom.sandbox.mailbox import open_mails
from ecom.services.inventory import Stock
from ecom.shop.restore import put_back_orders
from ecom.shop.views import views_of

EMPTY: Mapping[str, int] = {}


def provision(
    saga: Saga, folder: Path, stock: Mapping[str, int] = EMPTY, server: Server | None = None
) -> dict[str, str]:
    """Make every service's database with its views, and the sandbox's, or bring it up to date; put
    back what one that was restored lacks, and fill the shelves; harmless to repeat.

    Services have their rows in files, or on a server: then the URL for each, with new passwords.
    """
    urls = {}
    for name, service in saga.services.items():
        if server is None:
            Files(folder).provide(service, views_of(service))
        else:
            urls[name] = server.provision(service, token_hex(16))
    open_ledger(folder).close()
    open_mails(folder).close()
    if server is None:
        put_back_orders(folder)
    stock_shelves(server or Files(folder), stock)
    return urls


def stock_shelves(databases: Files | Server, stock: Mapping[str, int]) -> None:
    """Give each product its initial units, unless the shop has had it before."""
    fill(databases, "inventory", [Stock(sku, units, units) for sku, units in stock.items()])
