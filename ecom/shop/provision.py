"""What a shop needs before its services start: databases, views, stock on the shelves."""

from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex

from ecom.process.databases import Files, Server, fill
from ecom.runtime.saga import Saga
from ecom.runtime.service import Service
from ecom.runtime.tables import MACHINERY
from ecom.sandbox.gateway import open_ledger
from ecom.sandbox.mailbox import open_mails
from ecom.services.inventory import Stock
from ecom.shop.restore import put_back_orders
from ecom.stores import views

# Views of the shop's own tables, for whoever opens a service's database by hand: a file a service
# that has any. They come beside those of the machinery, in the same form.
VIEWS = Path(__file__).parent / "data" / "views"


def provision(
    saga: Saga, folder: Path, stock: Mapping[str, int] = {}, server: Server | None = None
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


def views_of(service: Service) -> dict[str, str]:
    """All views of a service's database; the last one, `about`, describes tables and views."""
    path = VIEWS / f"{service.name}.sql"
    own = path.read_text() if path.exists() else ""  # a further service may have none
    return views.views_of((*service.rows, *MACHINERY), own)
