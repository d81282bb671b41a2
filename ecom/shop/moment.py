"""Time travel: the tables of all services as they stood earlier, rebuilt from what they handled."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ecom.errors import ShopError
from ecom.harness.history.replay import tables_at
from ecom.harness.records import by_number
from ecom.runtime.saga import Saga
from ecom.services.audit import Entry
from ecom.services.inventory import Reservation, Stock
from ecom.services.notification import Told
from ecom.services.order import Order, Request
from ecom.services.payment import Payment
from ecom.settings import number
from ecom.shop.folder import kept_saga
from ecom.shop.history import entries_of, past_of
from ecom.stores.base import Row
from ecom.stores.query import key_of
from ecom.stores.sql import columns_of

_STATEFUL = {"order": Order, "inventory": Reservation, "payment": Payment}


@dataclass(frozen=True, repr=False)
class Moment:
    """All services' tables after the first `n` events of the log; `total` are in it today."""

    saga: Saga
    n: int
    total: int
    last: Entry | None  # the n-th event
    rows: dict[type[Row], list[Row]]

    @property
    def tables(self) -> dict[tuple[str, str], type[Row]]:
        """What is rebuilt, by service and table: all but requests, which are forgotten in time."""
        kinds = [(it.name, kind) for it in self.saga.services.values() for kind in it.rows]
        return {(service, kind.table): kind for service, kind in kinds if kind is not Request}

    def table(self, service: str, name: str) -> pd.DataFrame:
        """A table with the columns and the order it has in the service's database."""
        if (kind := self.tables.get((service, name))) is None:
            names = ", ".join(".".join(pair) for pair in self.tables)
            raise ShopError(f"{service}.{name} is not rebuilt from the log: choose of {names}.")
        columns = columns_of(kind)
        found = [columns.to_sql(row) for row in sorted(self.rows[kind], key=key_of)]
        return pd.DataFrame(found, columns=list(columns.names))

    @property
    def orders(self) -> pd.DataFrame:
        """order_id, customer, total (pence), state, reason."""
        return self._view(Order, "order_id", "customer", "total", "state", "reason")

    @property
    def stock(self) -> pd.DataFrame:
        """sku, initial, available, held, committed."""
        return self._view(Stock, "sku", "initial", "available", "held", "committed")

    @property
    def reservations(self) -> pd.DataFrame:
        """order_id, state, units (by sku)."""
        return self._view(Reservation, "order_id", "state", "units")

    @property
    def payments(self) -> pd.DataFrame:
        """order_id, state, amount (pence)."""
        return self._view(Payment, "order_id", "state", "amount")

    @property
    def told(self) -> pd.DataFrame:
        """order_id, confirmed, cancelled (the reason given), refunded."""
        return self._view(Told, "order_id", "confirmed", "cancelled", "refunded")

    @property
    def states(self) -> pd.DataFrame:
        """order_id, order, inventory, payment: each order's state in each service, or nothing."""
        known = {
            name: {row.order_id: row.state for row in self.rows[kind]}
            for name, kind in _STATEFUL.items()
        }
        numbers = sorted({id_ for states in known.values() for id_ in states}, key=by_number)
        found = [(id_, *(states.get(id_, "") for states in known.values())) for id_ in numbers]
        return pd.DataFrame(found, columns=["order_id", *known])

    def _view(self, kind: type[Row], *names: str) -> pd.DataFrame:
        found = sorted(self.rows[kind], key=_by_number)
        columns = {name: [_readable(getattr(row, name)) for row in found] for name in names}
        return pd.DataFrame(columns)

    def __repr__(self) -> str:
        if self.last is None:
            return f"Before the first of {self.total} events"
        last = f"{self.last.type} of order {self.last.order_id}"
        return f"After event {self.n} of {self.total}, {last}"


def at(folder: Path, n: int, saga: Saga | None = None) -> Moment:
    """The shop in `folder` after the first `n` events of its log: see `tables_at`."""
    saga, log = saga or kept_saga(folder), entries_of(folder)
    n = number("how many events of the log", n, 0, len(log), whole=True)
    tables = tables_at(past_of(folder, saga), n)
    return Moment(saga, n, len(log), log[n - 1] if n else None, {**tables, Entry: log[:n]})


def _by_number(row: Row) -> tuple[int, Any]:
    key = key_of(row)
    return (0, key) if isinstance(row, Stock) else by_number(key)


def _readable(value: Any) -> Any:
    """Columns that are empty or hold units by sku, for people."""
    if isinstance(value, dict):
        return ", ".join(f"{units} × {sku}" for sku, units in value.items())
    return "" if value is None else value
