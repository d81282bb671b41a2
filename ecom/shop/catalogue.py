"""The shop's own small data: what it sells and who comes to buy. CSV files of the package."""

import csv
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from ecom.settings import shown

DATA = Path(__file__).with_name("data")

PRICE_OF_THE_UNKNOWN = 1_000  # pence: what a product costs that the catalogue does not have


class Product(NamedTuple):
    """One product of the catalogue."""

    sku: str
    name: str
    unit_price: int  # pence
    stock: int  # units on the shelf when the shop first opens


@cache
def products() -> dict[str, Product]:
    """The catalogue, by sku, in the order of the file."""
    return {
        row["sku"]: Product(row["sku"], row["name"], int(row["unit_price"]), int(row["stock"]))
        for row in read("catalogue.csv")
    }


def stock() -> dict[str, int]:
    """What is on the shelves when the shop first opens, by sku."""
    return {sku: product.stock for sku, product in products().items()}


@cache
def cards() -> dict[str, str]:
    """The card each known customer pays with, by e-mail address."""
    return {row["email"]: row["card"] for row in read("customers.csv")}


def price_of(sku: str) -> int:
    """What one unit costs, in pence."""
    known = products().get(sku)
    return known.unit_price if known else PRICE_OF_THE_UNKNOWN


def unknown_products(order: Mapping[str, Any]) -> list[str]:
    """A sentence about each product of an order that is not in the catalogue. A shop may have it
    nevertheless; one that has not cancels the order."""
    missing = [line["sku"] for line in order["lines"] if line["sku"] not in products()]
    near = {sku: get_close_matches(sku.upper(), products(), 1) for sku in missing}
    return [
        f"The catalogue has no {shown(sku)}" + (f": did you mean {it[0]}?" if it else ".")
        for sku, it in near.items()
    ]


def read(name: str) -> list[dict[str, str]]:
    """A file of `data/`, row by row."""
    with open(DATA / name, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
