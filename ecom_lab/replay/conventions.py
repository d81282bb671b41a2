"""Finds how a file writes its numbers and dates: one convention for all its lines, or a refusal."""

import re

import pandas as pd

from ecom.errors import ShopError
from ecom_lab.replay.columns import Sheet

# What a number looks like with a decimal point, and with a decimal comma.
_NUMBER = (
    r"[+-]?(?:[0-9]+|[1-9][0-9]{0,2}(?:[%(thousands)s\s'’][0-9]{3})+|(?=%(decimal)s[0-9]))"
    r"(?:%(decimal)s[0-9]*)?(?:[eE][+-]?[0-9]+)?"
)
NUMBERS = {
    ".": _NUMBER % {"decimal": r"\.", "thousands": ","},
    ",": _NUMBER % {"decimal": ",", "thousands": r"\."},
}
POUNDS = r"^([+-]?)\s*(?:£|GBP)\s*|\s*(?:£|GBP)$"
DATE = re.compile(
    r"(?P<a>[0-9]{1,4})(?P<mark>[-/.])(?P<b>[0-9]{1,2})(?P=mark)(?P<c>[0-9]{1,4})"
    r"(?:[T\s]\s*(?P<hour>[01]?[0-9]|2[0-3]):(?P<minute>[0-5][0-9])"
    r"(?::(?P<second>[0-5][0-9](?:\.[0-9]{1,9})?))?(?:\s?(?P<half>[AaPp])[Mm])?"
    r"\s?(?P<zone>Z|UTC|[+-][0-9]{2}:?[0-9]{2})?)?"
)
NOBODYS, SERIALS = "year, day, month", "as day numbers of a spreadsheet"
WAYS = {"day-first": "cba", "month-first": "cab"}  # the groups of a year, a month and a day
ORDERS = {"year first": "abc", NOBODYS: "acb", **WAYS}
SERIAL = r"[1-9][0-9]{4}(?:[.,][0-9]+)?"  # Excel's: days since the end of 1899


def numbers(sheet: Sheet) -> tuple[pd.Series, pd.Series, str]:
    """Quantities, prices in pounds, and the convention found; what is no number is NaN.

    Raises `ShopError` if the file has two conventions, or one cannot be told from the other.
    """
    pounds = sheet.table.UnitPrice.str.replace(POUNDS, r"\1", regex=True)
    texts = pd.concat({"Quantity": sheet.table.Quantity, "UnitPrice": pounds})  # by column, line
    point, comma = (texts.str.fullmatch(pattern) for pattern in NUMBERS.values())
    shown = {".": point & ~comma, ",": comma & ~point}  # a number with this mark alone
    found = {mark: sheet.value(*lines.idxmax()) for mark, lines in shown.items() if lines.any()}
    if len(found) > 1:
        raise ShopError(
            f"{sheet.path} has decimal points ({found['.']}) and decimal commas "
            f"({found[',']}): write all in one way."
        )
    either = point & comma & texts.str.contains("[.,]")
    if either.any() and not found:
        raise ShopError(
            f"{sheet.path} does not show whether it has decimal points or decimal commas "
            f"({sheet.value(*either.idxmax())}): write numbers without marks of thousands, and "
            "prices as 1.25."
        )
    mark = "," if "," in found else "."
    bare = texts.where(comma if mark == "," else point).str.replace(
        rf"[^0-9eE+{mark}-]", "", regex=True
    )
    values = pd.to_numeric(bare.str.replace(mark, "."), errors="coerce").astype(float)
    return values["Quantity"], values["UnitPrice"], f"decimal {'comma' if mark == ',' else 'point'}"


def dates(sheet: Sheet, asked: str | None) -> tuple[pd.Series, str]:
    """When each line's invoice was written, and the convention found; NaT where that is no date.

    The convention is the one by which all can be read that can be read by any. `asked` is
    `day-first`, `month-first` or None. Raises `ShopError` if there is none or another than is asked
    for, or if one cannot be told from another.
    """
    texts = sheet.table.InvoiceDate.drop_duplicates()  # each by the first line that has it
    parts = texts.str.extract(DATE).where(texts.str.fullmatch(DATE.pattern))
    read = {way: _assembled(parts, order) for way, order in ORDERS.items()}
    read[NOBODYS] = read[NOBODYS].where(parts.a.str.len() == 4)
    days = pd.to_numeric(texts.where(texts.str.fullmatch(SERIAL)).str.replace(",", "."))
    read[SERIALS] = pd.to_datetime(days, unit="D", origin="1899-12-30", utc=True)
    known = pd.DataFrame(read).notna()
    dated = known.any(axis="columns")
    if not dated.any():
        return pd.Series(pd.NaT, sheet.table.index), "no dates"
    fit = [way for way in read if known[way].equals(dated)]
    if asked in fit or fit[1:] == [NOBODYS]:
        fit = [asked] if asked in fit else fit[:1]
    if len(fit) > 1:
        raise ShopError(
            f"{sheet.path} does not show which part of a date is the day "
            f"({sheet.first('InvoiceDate', dated)}): say --dates day-first or --dates month-first."
        )
    if fit in ([], [NOBODYS]) or (asked and fit[0] in WAYS and fit != [asked]):
        ways = [way for way in read if known[way].any()]
        shown = [f"{way} ({sheet.first('InvoiceDate', known[way])})" for way in ways]
        rest = f", not {asked}." if len(ways) == 1 else ": write all in one way."
        raise ShopError(f"{sheet.path} has dates {' and '.join(shown)}{rest}")
    zoned = dated & parts.zone.notna()
    if zoned.any() and not zoned.equals(dated):
        raise ShopError(
            f"{sheet.path} has dates with a time zone ({sheet.first('InvoiceDate', zoned)}) and "
            f"without ({sheet.first('InvoiceDate', dated & ~zoned)}): write all in one way."
        )
    at = sheet.table.InvoiceDate.map(pd.Series(read[fit[0]].array, texts))
    return at, f"dates {fit[0].replace('-', ' ')}"


def _assembled(parts: pd.DataFrame, order: str) -> pd.Series:
    """Times of which year, month and day are in these groups of `DATE`."""
    year, month, day = (parts[name].str.zfill(2) for name in order)
    year = year.where(year.str.len() == 4, "20" + year)
    hour = pd.to_numeric(parts.hour).fillna(0).astype(int)
    halved = parts.half.notna()
    is_hour = ~halved | hour.between(1, 12)
    hour = hour.where(~halved, hour % 12 + 12 * parts.half.isin(["P", "p"]))
    time = hour.astype(str).str.zfill(2) + ":" + parts.minute.fillna("00")
    text = year + "-" + month + "-" + day + "T" + time + ":" + parts.second.fillna("00")
    zone = parts.zone.fillna("Z").replace("UTC", "Z")
    return pd.to_datetime((text + zone).where(is_hour), format="ISO8601", errors="coerce", utc=True)
