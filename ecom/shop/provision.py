"""What a shop needs before its services start: databases, views, stock on the shelves."""

from pathlib import Path

from ecom.process import driver
from ecom.process.driver import database
from ecom.runtime.saga import Saga
from ecom.services.inventory import Stock
from ecom.shop.views import install
from ecom.stores.base import Transaction
from ecom.stores.sqlite import SqliteStore


def provision(saga: Saga, folder: Path) -> None:
    """Create every service's database, with its tables and views; harmless to repeat."""
    driver.provision(saga, folder)
    for service in saga.services.values():
        install(database(folder, service.name), service)


def stock_shelves(folder: Path, stock: dict[str, int]) -> None:
    """Give each product its initial units, unless the shop has had it before."""
    store = SqliteStore(database(folder, "inventory"))
    tx = Transaction(store)
    for sku, units in stock.items():
        if tx[Stock].get(sku) is None:
            tx[Stock].put(Stock(sku, units, units))
    tx.commit()
    store.close()
