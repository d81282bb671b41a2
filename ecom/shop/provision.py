"""What a shop needs before its services start: databases, views, stock on the shelves."""

from collections.abc import Mapping
from pathlib import Path

from ecom.process.driver import fill, provide
from ecom.runtime.saga import Saga
from ecom.sandbox.gateway import open_ledger
from ecom.sandbox.mailbox import open_mails
from ecom.services.inventory import Stock
from ecom.shop.restore import put_back_orders
from ecom.shop.views import views_of

EMPTY: Mapping[str, int] = {}


def provision(saga: Saga, folder: Path, stock: Mapping[str, int] = EMPTY) -> None:
    """Make every service's database with its views, and the sandbox's, or bring it up to date; put
    back what one that was restored lacks, and fill the shelves; harmless to repeat."""
    for service in saga.services.values():
        provide(service, folder, views_of(service))
    open_ledger(folder).close()
    open_mails(folder).close()
    put_back_orders(folder)
    stock_shelves(folder, stock)


def stock_shelves(folder: Path, stock: Mapping[str, int]) -> None:
    """Give each product its initial units, unless the shop has had it before."""
    fill(folder, "inventory", [Stock(sku, units, units) for sku, units in stock.items()])
