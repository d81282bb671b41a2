"""Reads a file of the *Online Retail* shapes as a story: orders, cancellations, in order of time.

Every line of the file is ordered, cancels, or is skipped for a reason that is counted. The data set
is Chen, D. (2015), UCI Machine Learning Repository, DOI 10.24432/C5BW33; so is *Online Retail II*.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from ecom.api.schemas import OrderIn
from ecom.errors import ShopError
from ecom.events import MAX_LINES
from ecom.sandbox.cards import GOOD_CARD
from ecom_lab.replay.columns import Sheet, sheet
from ecom_lab.replay.conventions import dates, numbers

MAX_QUANTITY, MAX_PRICE = 1_000_000, 100_000_000  # units; pence

PART = "cancels only part of an order"
NOTHING = "cancels an order that is not in the file"
GUEST = "cancellation by a guest, whose order cannot be known"
STOCKROOM = "stockroom@example.com"
TOO_MANY = f"more than {MAX_LINES:,} lines in one order"
BEYOND = "quantity or price beyond what an order may have"
TOO_LARGE = "an order beyond what the shop takes"
SEVERAL = "several customers in one invoice"
# How files spell that a customer is not known, in small letters; the data sets leave it empty.
GUESTS = re.compile(
    r"|-+|-1|0+|\.|\?|\\n|\(?(null|nil|none|blank|empty|missing|unknown|anonymous|guest)\)?"
    r"|nan|nat|<na>|#?n/?a|#null!"
)
ROUNDED = r"[0-9](?:[.,][0-9]+)?[eE]\+[0-9]+"  # a spreadsheet's way to show a long number

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
    skipped: Counter[str]  # reason → lines
    first_skipped: dict[str, str]  # reason → line, column and value
    lines: int
    understood: tuple[str, ...]  # how the file was read, in words

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
        return _units(line for order in self.purchases for line in order.lines)

    def shelves(self, share: float) -> dict[str, int]:
        """Initial stock: that share of each product's demand, rounded up."""
        # The demand times 0.9 may miss a whole number by a hair: do not round that up.
        return {sku: math.ceil(units * share - 1e-9) for sku, units in self.demand().items()}


def read(path: Path, dates_asked: str | None = None, lenient: bool = False) -> Story:
    """Read a file of columns, packed or plain. Raises `ShopError` if it cannot be read rightly.

    `dates_asked` is `day-first` or `month-first`, for a file that does not show it. A file of which
    less than half can be used is an error unless `lenient`, one of which nothing can always.
    """
    file = sheet(path)
    table, understood = _understood(file, dates_asked)
    _skip_lines(table)
    actions, in_vain = _tell(table[table.reason == ""])
    _skip(table, "InvoiceNo", table.InvoiceNo.map(in_vain), table.InvoiceNo.isin(in_vain))
    skipped = table[table.reason != ""]
    first = {
        row.reason: file.value(row.column, row.Index)
        for row in skipped.drop_duplicates("reason").itertuples()
    }
    reasons = Counter(skipped.reason)
    if not actions or (len(skipped) * 2 > len(table) and not lenient):
        ((why, lines),) = reasons.most_common(1)
        raise ShopError(
            f"{len(skipped):,} of the {len(table):,} lines of {path} cannot be used; most for: "
            f"{why} ({lines:,}, e.g. {first[why]}). It was read as {', '.join(understood)}."
            + (" The others are replayed with --lenient." if actions else "")
        )
    return Story(actions, reasons, first, len(table), understood)


def _understood(file: Sheet, dates_asked: str | None) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The lines, with `units`, `pence`, `at`, and whether they are of a `C` invoice (`back`)."""
    quantities, pounds, decimals = numbers(file)
    at, order = dates(file, dates_asked)
    table = file.table
    table = table.assign(
        InvoiceNo=table.InvoiceNo.str.replace(r"(?<=[0-9])\.0+$", "", regex=True),
        StockCode=table.StockCode.str.replace(r"^([0-9]+)\.0+$", r"\1", regex=True),
        customer=table.CustomerID.map(_customer),
        units=quantities,
        pence=(pounds * 100).round(),
        pounds=pounds,
        at=at,
        back=table.InvoiceNo.str.startswith("C"),
        reason="",  # to skip the line …
        column="",  # … for this column's value
    )
    uneven = int(((pounds * 100 - table.pence).abs() > 1e-6).sum())
    notes = (f"{uneven:,} prices rounded to whole pence",) if uneven else ()
    return table, (*file.understood, decimals, order, *notes)


def _customer(text: str) -> str | None:
    """A customer's number, also if it was a float; empty for a guest; None if it is neither."""
    if number := re.fullmatch(r"0*([1-9][0-9]{0,17})(?:[.,]0*)?", text):
        return number[1]
    bare = re.sub(r"(?<=[0-9])[.,]0+$", "", text.casefold())
    return "" if GUESTS.fullmatch(bare) else None


def _skip(table: pd.DataFrame, column: str, reason: str | pd.Series, lines: pd.Series) -> None:
    """Give these lines the reason, unless they have another."""
    lines = lines & (table.reason == "")
    table.loc[lines, "column"], table.loc[lines, "reason"] = column, reason


def _skip_lines(table: pd.DataFrame) -> None:
    """Skip every line that by itself cannot be replayed."""
    units, pence, back, skip = table.units, table.pence, table.back, partial(_skip, table)
    skip("broken", "not the columns of the header", table.broken != "")
    skip("InvoiceNo", "no invoice number", table.InvoiceNo == "")
    skip("StockCode", "no product code", ~table.StockCode.str.fullmatch(r"[^\x00-\x1f\x7f]{1,64}"))
    for column in ("InvoiceNo", "StockCode", "CustomerID"):
        skip(column, "rounded by a spreadsheet", table[column].str.fullmatch(ROUNDED))
    skip("CustomerID", "customer is not a number", table.customer.isna())
    skip("InvoiceDate", "date cannot be read", table["at"].isna())
    skip("Quantity", "quantity is not a whole number", units.isna() | (units % 1 != 0))
    skip("UnitPrice", "price is not a number", pence.isna())
    skip("UnitPrice", "price below zero", table.pounds < 0)
    skip("Quantity", "quantity of zero", units == 0)
    skip("Quantity", "quantity above zero in a cancellation", back & (units > 0))
    # At a price of zero it is a stock adjustment, which an order for nothing can stand for.
    skip("Quantity", "quantity below zero, at a price", ~back & (units < 0) & (pence > 0))
    skip("Quantity", BEYOND, units.abs() > MAX_QUANTITY)
    skip("UnitPrice", BEYOND, pence > MAX_PRICE)
    customers = table.customer.where(table.reason == "").groupby(table.InvoiceNo)
    skip("CustomerID", SEVERAL, customers.transform("nunique") > 1)
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
            who = f"customer-{customer}" if customer else f"guest-{invoice}"
            address = STOCKROOM if is_adjustment else f"{who}@example.com"
            order = Purchase(invoice, address, lines)
            if not _is_taken(order):
                in_vain[invoice] = TOO_LARGE
                continue
            orders[whole].append(invoice)
            bought.update((customer, sku) for sku in units)
            actions.append(order)
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
    parts = {"customer": "first", "is_below": "all", "line": list, "at": "first"}
    invoices = marked.groupby("InvoiceNo", sort=False).agg(parts)
    return invoices.sort_values("at", kind="stable").drop(columns="at").itertuples(name=None)


def _units(lines: Iterable[Line]) -> Counter[str]:
    units: Counter[str] = Counter()
    for line in lines:
        units[line["sku"]] += line["quantity"]
    return units


def _is_taken(order: Purchase) -> bool:
    """Whether the API takes this order: one that it refuses would take others of a list along."""
    try:
        OrderIn(customer=order.customer, card=GOOD_CARD, lines=order.lines)
    except ValidationError:
        return False
    return True
