"""A shop's tables as frames, pictures and verdicts: of an open shop, or of its folder."""

from pathlib import Path

import pandas as pd

from ecom.harness.history.history import History
from ecom.harness.tenancy import pages_of
from ecom.shop import accounts, dataframes, moment
from ecom.shop.balance import Books
from ecom.shop.history import history
from ecom.shop.moment import Moment
from ecom.shop.timeline import Timeline, timeline


class Records:
    """The records of the shop in `folder`, which need not be open any more."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    @property
    def rabbitmq(self) -> str:
        """Where RabbitMQ's own pages are, and the login; "" but for a private one that runs."""
        return pages_of(self.folder)

    def orders(self) -> pd.DataFrame:
        """order_id, customer, lines, total (pence), state, reason."""
        return dataframes.orders(self.folder)

    def events(self, order: str | None = None) -> pd.DataFrame:
        """order_id, type, producer, caused_by, reason: causes before effects."""
        return dataframes.events(self.folder, order)

    def stock(self) -> pd.DataFrame:
        """sku, initial, available, held, committed."""
        return dataframes.stock(self.folder)

    def emails(self, order: str | None = None) -> pd.DataFrame:
        """order_id, to, subject, body."""
        return dataframes.emails(self.folder, order)

    def ledger(self) -> pd.DataFrame:
        """order_id, kind, amount (pence), outcome: the payment provider's own book."""
        return dataframes.ledger(self.folder)

    def table(self, service: str, name: str) -> pd.DataFrame:
        """A table of a service's database, or of `gateway` or `mailbox`, as it is."""
        return dataframes.table(self.folder, service, name)

    def books(self) -> Books:
        """Whether the books balance, in one line. Meaningful once `settle` has returned."""
        return accounts.books(self.folder)

    def history(self, order_id: str) -> History:
        """All that happened to one order, causes before effects; shows itself as a diagram."""
        return history(self.folder, order_id)

    def timeline(self) -> Timeline:
        """When each order was accepted and when it ended, by outcome; shows itself as a picture."""
        return timeline(self.folder)

    def at(self, n: int) -> Moment:
        """All services' tables as they stood after the first `n` events of the log.

        Raises `CannotReplay` where the log has a gap, and `ShopError` if it is not that long.
        """
        return moment.at(self.folder, n)
