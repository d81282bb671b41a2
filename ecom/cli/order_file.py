"""Reads a file of the *Online Retail* shape as a story: orders and cancellations, in order of time.

Every line of the file is ordered, cancels, or is skipped for a reason that is counted. The data set
is Chen, D. (2015), UCI Machine Learning Repository, DOI 10.24432/C5BW33.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from ecom.errors import ShopError
from ecom.events import MAX_LINES

COLUMNS = ["InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID"]
MAX_QUANTITY, MAX_PRICE = 1_000_000, 100_000_000  # units; pence

PART = "cancels only part of an order"
NOTHING = "cancels an order that is not in the file"
GUEST = "cancellation by a guest, whose order cannot be known"
STOCKROOM = "stockroom@example.com"
TOO_MANY = f"more than {MAX_LINES:,} lines in one order"
BEYOND = "quantity or price beyond what an order may have"

Line = dict[str, Any]  # as the API takes it: sku, quantity, unit_price (pence)


@dataclass(frozen=True)
class Purchase:
    """An invoice that is an order."""

    invoice: str
    customer: str
    lines: list[Line]


@dataclass(frozen=True)
class Cancellation:
    """A `C` invoice that takes a whole earlier order back."""

    invoice: str
    of: str  # the invoice of the order


@dataclass(frozen=True)
class Story:
    """What the file tells, in order of time, and how many lines of it were left out, and why."""

    actions: list[Purchase | Cancellation]
    skipped: Counter[str] = field(default_factory=Counter)  # reason → lines
    first_skipped: dict[str, str] = field(default_factory=dict)  # reason → line, column and value
    lines: int = 0

    @property
    def purchases(self) -> list[Purchase]:
        """The orders alone."""
        return [action for action in self.actions if isinstance(action, Purchase)]

    @property
    def adjustments(self) -> int:
        """How many orders stand for a stock adjustment."""
        return sum(order.customer == STOCKROOM for order in self.purchases)

    def demand(self) -> Counter[str]:
        """Units of each product that all the orders together ask for."""
        units: Counter[str] = Counter()
        for order in self.purchases:
            units.update(_units(order.lines))
        return units

    def shelves(self, share: float) -> dict[str, int]:
        """Initial stock: that share of each product's demand, rounded up."""
        # The demand times 0.9 may miss a whole number by a hair: do not round that up.
        return {sku: math.ceil(units * share - 1e-9) for sku, units in self.demand().items()}


def read(path: Path) -> Story:
    """Read a CSV file, gzipped or plain. Raises `ShopError` if it is none, or of another shape."""
    table = _load(path)
    _skip_lines(table)
    actions, in_vain = _tell(table[table.reason == ""])
    _skip(table, "InvoiceNo", table.InvoiceNo.map(in_vain), table.InvoiceNo.isin(in_vain))
    skipped = table[table.reason != ""]
    first = {
        line.reason: f"line {line.Index + 2}, {line.column}: {getattr(line, line.column)!r}"
        for line in skipped.drop_duplicates("reason").itertuples()
    }
    return Story(actions, Counter(skipped.reason), first, len(table))


def _load(path: Path) -> pd.DataFrame:
    """The lines, with `units`, `pence`, `at`, and whether they are of a `C` invoice (`back`)."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding_errors="replace")
    except (OSError, EOFError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error).strip()
        raise ShopError(f"{path} cannot be read as CSV: {why}.") from error
    if missing := [column for column in COLUMNS if column not in table.columns]:
        raise ShopError(f"{path} is not of the Online Retail shape: no {', '.join(missing)}.")
    return table.assign(
        units=pd.to_numeric(table.Quantity, errors="coerce"),
        pence=(pd.to_numeric(table.UnitPrice, errors="coerce") * 100).round(),
        at=pd.to_datetime(table.InvoiceDate, errors="coerce", format="mixed"),
        back=table.InvoiceNo.str.startswith("C"),
        reason="",  # to skip the line …
        column="",  # … for this column's value
    )


def _skip(table: pd.DataFrame, column: str, reason: "str | pd.Series", lines: pd.Series) -> None:
    """Give these lines the reason, unless they have another."""
    lines = lines & (table.reason == "")
    table.loc[lines, "column"], table.loc[lines, "reason"] = column, reason


def _skip_lines(table: pd.DataFrame) -> None:
    """Skip every line that by itself cannot be replayed."""
    units, pence, back, skip = table.units, table.pence, table.back, partial(_skip, table)
    unfit = ~table.StockCode.str.fullmatch(r"[^\x00-\x1f\x7f]{1,64}")
    skip("InvoiceNo", "no invoice number", table.InvoiceNo == "")
    skip("StockCode", "no product code", unfit)
    skip("Quantity", "quantity is not a whole number", units.isna() | (units % 1 != 0))
    skip("UnitPrice", "price is not a number", pence.isna())
    skip("UnitPrice", "price below zero", pence < 0)
    skip("Quantity", "quantity of zero", units == 0)
    skip("Quantity", "quantity above zero in a cancellation", back & (units > 0))
    # At a price of zero it is a stock adjustment, which an order for nothing can stand for.
    skip("Quantity", "quantity below zero, at a price", ~back & (units < 0) & (pence > 0))
    skip("Quantity", BEYOND, units.abs() > MAX_QUANTITY)
    skip("UnitPrice", BEYOND, pence > MAX_PRICE)
    place = table.groupby(["InvoiceNo", "reason"]).cumcount()  # among those that are left
    skip("InvoiceNo", TOO_MANY, ~back & (place >= MAX_LINES))


def _tell(table: pd.DataFrame) -> tuple[list[Purchase | Cancellation], dict[str, str]]:
    """Orders and cancellations in order of time; and the invoices that cancel nothing, and why."""
    actions: list[Purchase | Cancellation] = []
    in_vain: dict[str, str] = {}
    orders: dict[tuple, list[str]] = defaultdict(list)  # (customer, units) → invoices
    bought: set[tuple[str, str]] = set()  # (customer, sku)
    for invoice, customer, is_adjustment, lines in _invoices(table):
        units = _units(lines)
        whole = customer, frozenset(units.items())
        if not invoice.startswith("C"):
            orders[whole].append(invoice)
            bought.update((customer, sku) for sku in units)
            address = STOCKROOM if is_adjustment else _address(invoice, customer)
            actions.append(Purchase(invoice, address, lines))
        elif not customer:
            in_vain[invoice] = GUEST
        elif orders[whole]:
            # The latest of several like it: the one still fresh in the customer's mind.
            actions.append(Cancellation(invoice, orders[whole].pop()))
        else:
            in_vain[invoice] = PART if any((customer, it) in bought for it in units) else NOTHING
    return actions, in_vain


def _invoices(table: pd.DataFrame) -> Iterator[tuple[str, str, bool, list[Line]]]:
    """Number, customer, whether all is below zero, and lines: invoices by their first line's time.

    What is below zero is taken back, or off the shelf: its units are above zero in `lines`."""
    columns = {"sku": table.StockCode, "quantity": table.units.abs(), "unit_price": table.pence}
    lines = pd.DataFrame(columns).astype({"quantity": int, "unit_price": int})
    marked = table.assign(is_below=table.units < 0, line=lines.to_dict("records"))
    parts = {"CustomerID": "first", "is_below": "all", "line": list, "at": "first"}
    invoices = marked.groupby("InvoiceNo", sort=False).agg(parts)
    return invoices.sort_values("at", kind="stable").drop(columns="at").itertuples(name=None)


def _units(lines: list[Line]) -> Counter[str]:
    units: Counter[str] = Counter()
    for line in lines:
        units[line["sku"]] += line["quantity"]
    return units


def _address(invoice: str, customer: str) -> str:
    """An e-mail address for a customer of the file, or a guest."""
    digits = "".join(c for c in customer.removesuffix(".0") if c.isalnum())
    return f"customer-{digits}@example.com" if digits else f"guest-{invoice}@example.com"
