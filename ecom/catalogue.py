"""The shop's own small data: what it sells and who comes to buy. CSV files under `data/`."""

import csv
from functools import cache
from pathlib import Path
from typing import NamedTuple

DATA = Path(__file__).absolute().parent.parent / "data"

CARD_THAT_PAYS = "4242424242424242"
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
    rows = _read("catalogue.csv")
    return {
        row["sku"]: Product(row["sku"], row["name"], int(row["unit_price"]), int(row["stock"]))
        for row in rows
    }


@cache
def cards() -> dict[str, str]:
    """The card each known customer pays with, by e-mail address."""
    return {row["email"]: row["card"] for row in _read("customers.csv")}


def price_of(sku: str) -> int:
    """What one unit costs, in pence."""
    known = products().get(sku)
    return known.unit_price if known else PRICE_OF_THE_UNKNOWN


def _read(name: str) -> list[dict[str, str]]:
    with open(DATA / name, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
