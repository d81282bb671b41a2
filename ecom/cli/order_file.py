"""Reads a file of the *Online Retail* shape as a story: orders and cancellations, in order of time.

Every line of the file is ordered, cancels, or is skipped for a reason that is counted. The data set
is Chen, D. (2015), UCI Machine Learning Repository, DOI 10.24432/C5BW33.
"""

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

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


@dataclass(frozen=True)
class Purchase:
    """An invoice that is an order. `lines` is (sku, units, pence a unit)."""

    invoice: str
    customer: str
    lines: list[tuple[str, int, int]]


@dataclass(frozen=True)
class Regret:
    """A `C` invoice that takes a whole earlier order back."""

    invoice: str
    of: str  # the invoice of the order


@dataclass(frozen=True)
class Story:
    """What the file tells, in order of time, and how many lines of it were left out, and why."""

    actions: list[Purchase | Regret]
    skipped: Counter[str] = field(default_factory=Counter)
    lines: int = 0
    adjustments: int = 0  # orders that stand for a stock adjustment

    def demand(self) -> Counter[str]:
        """Units of each product that all the orders together ask for."""
        units: Counter[str] = Counter()
        for action in self.actions:
            if isinstance(action, Purchase):
                for sku, quantity, _ in action.lines:
                    units[sku] += quantity
        return units

    def shelves(self, share: float) -> dict[str, int]:
        """Initial stock: that share of each product's demand, rounded up."""
        # The demand times 0.9 may miss a whole number by a hair: do not round that up.
        return {sku: math.ceil(units * share - 1e-9) for sku, units in self.demand().items()}


def read(path: Path) -> Story:
    """Read a CSV file, gzipped or plain. Raises `ShopError` if it is none, or of another shape."""
    table = _load(path)
    skipped = Counter(reason for reason in table.reason if reason)
    actions = _tell(table[table.reason == ""], skipped)
    adjustments = sum(
        action.customer == STOCKROOM for action in actions if isinstance(action, Purchase)
    )
    return Story(actions, skipped, len(table), adjustments)


def _load(path: Path) -> pd.DataFrame:
    """The lines, with `units`, `pence`, `back` (a `C` invoice), and the `reason` to skip one."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding_errors="replace")
    except (OSError, EOFError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error).strip()
        raise ShopError(f"{path} cannot be read as CSV: {why}.") from error
    if missing := [column for column in COLUMNS if column not in table.columns]:
        raise ShopError(f"{path} is not of the Online Retail shape: no {', '.join(missing)}.")
    table["units"] = pd.to_numeric(table.Quantity, errors="coerce")
    table["pence"] = (pd.to_numeric(table.UnitPrice, errors="coerce") * 100).round()
    table["back"] = table.InvoiceNo.str.startswith("C")
    table["reason"] = _reasons(table)
    return table


def _reasons(table: pd.DataFrame) -> pd.Series:
    """Why each line cannot be replayed; "" if it can."""
    units, pence, back = table.units, table.pence, table.back
    too_much = (units.abs() > MAX_QUANTITY) | (pence > MAX_PRICE)
    rules = {
        "no invoice number": table.InvoiceNo == "",
        "no product code": ~table.StockCode.str.fullmatch(r"[^\x00-\x1f\x7f]{1,64}"),
        "quantity is not a whole number": units.isna() | (units % 1 != 0),
        "price is not a number": pence.isna(),
        "price below zero": pence < 0,
        "quantity of zero": units == 0,
        "quantity above zero in a cancellation": back & (units > 0),
        # At a price of zero it is a stock adjustment, which an order for nothing can stand for.
        "quantity below zero, at a price": ~back & (units < 0) & (pence > 0),
        "quantity or price beyond what an order may have": too_much,
    }
    reasons = pd.Series("", index=table.index)
    for reason, applies in reversed(rules.items()):
        reasons[applies] = reason
    return reasons


def _tell(table: pd.DataFrame, skipped: Counter[str]) -> list[Purchase | Regret]:
    invoices: dict[str, list[tuple]] = defaultdict(list)
    columns = (table.InvoiceNo, table.StockCode, table.units.astype(int), table.pence.astype(int))
    for invoice, *line in zip(*(column.tolist() for column in columns), strict=True):
        invoices[invoice].append(tuple(line))
    first = table.drop_duplicates("InvoiceNo").set_index("InvoiceNo")
    dates = pd.to_datetime(first.InvoiceDate, errors="coerce", format="mixed")
    teller = _Teller(first.CustomerID.to_dict(), skipped)
    for invoice in dates.sort_values(kind="stable").index:
        teller.add(invoice, invoices[invoice])
    return teller.actions


class _Teller:
    """Turns invoices, given in order of time, into orders and cancellations."""

    def __init__(self, customers: dict[str, str], skipped: Counter[str]) -> None:
        self.actions: list[Purchase | Regret] = []
        self._customers = customers
        self._skipped = skipped
        self._whole: dict[tuple, list[str]] = defaultdict(list)  # (customer, units) → invoices
        self._bought: set[tuple[str, str]] = set()  # (customer, sku)

    def add(self, invoice: str, lines: list[tuple[str, int, int]]) -> None:
        customer = self._customers[invoice]
        units = Counter()
        for sku, quantity, _ in lines:
            units[sku] += abs(quantity)
        content = (customer, frozenset(units.items()))
        if invoice.startswith("C"):
            self._take_back(invoice, customer, content, len(lines))
        else:
            self._buy(invoice, customer, content, lines)

    def _buy(self, invoice: str, customer: str, content: tuple, lines: list) -> None:
        if len(lines) > MAX_LINES:
            self._skipped[TOO_MANY] += len(lines) - MAX_LINES
        elif customer:
            self._whole[content].append(invoice)
        if customer:
            self._bought.update((customer, sku) for sku, _ in content[1])
        ordered = [(sku, abs(quantity), pence) for sku, quantity, pence in lines[:MAX_LINES]]
        self.actions.append(Purchase(invoice, _address(invoice, customer, lines), ordered))

    def _take_back(self, invoice: str, customer: str, content: tuple, lines: int) -> None:
        if not customer:
            self._skipped[GUEST] += lines
        elif self._whole[content]:
            # The latest of several like it: the one still fresh in the customer's mind.
            self.actions.append(Regret(invoice, self._whole[content].pop()))
        elif any((customer, sku) in self._bought for sku, _ in content[1]):
            self._skipped[PART] += lines
        else:
            self._skipped[NOTHING] += lines


def _address(invoice: str, customer: str, lines: list[tuple[str, int, int]]) -> str:
    """An e-mail address for a customer of the file, a guest, or the stockroom's adjustments."""
    if all(quantity < 0 for _, quantity, _ in lines):
        return STOCKROOM
    digits = "".join(c for c in customer.removesuffix(".0") if c.isalnum())
    return f"customer-{digits}@example.com" if digits else f"guest-{invoice}@example.com"
