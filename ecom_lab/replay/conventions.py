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

    `asked` is `day-first`, `month-first` or None. Raises `ShopError` if the file has several
    conventions, or another than is asked for, or if one cannot be told from another.
    """
    texts = sheet.table.InvoiceDate
    parts = texts.str.extract(DATE).where(texts.str.fullmatch(DATE.pattern))
    a, b, c = (pd.to_numeric(parts[name]) for name in "abc")
    first, last = (parts[name].str.len().fillna(0) for name in "ac")
    kinds = {
        "year first": (first == 4) & (last <= 2),
        "year last": first.between(1, 2) & (last == 4),
        "years of two digits": first.between(1, 2) & last.between(1, 2),
        "day numbers of a spreadsheet": texts.str.fullmatch(SERIAL),
    }
    found = [(kind, lines) for kind, lines in kinds.items() if lines.any()]
    if not found:
        return pd.Series(pd.NaT, texts.index), "no dates"
    if len(found) > 1:
        ways = (f"{kind} ({sheet.first('InvoiceDate', lines)})" for kind, lines in found)
        raise ShopError(
            f"{sheet.path} has dates in several ways, {' and '.join(ways)}: write all in one way."
        )
    ((kind, lines),) = found
    if kind == "day numbers of a spreadsheet":
        days = pd.to_numeric(texts.where(lines).str.replace(",", "."))
        return pd.to_datetime(days, unit="D", origin="1899-12-30", utc=True), f"dates as {kind}"
    _check_zones(sheet, lines, parts.zone.notna())
    if kind == "year first":
        if (odd := lines & b.between(13, 31) & c.between(1, 12)).any():
            raise ShopError(
                f"{sheet.path} has dates that are not year, month, day "
                f"({sheet.first('InvoiceDate', odd)}): write them as 2010-12-31."
            )
        return _assembled(parts[lines], "abc").reindex(texts.index), "dates year first"
    way = _day_or_month_first(sheet, lines, a, b, asked, kind)
    order = "cba" if way == "day-first" else "cab"
    return _assembled(parts[lines], order).reindex(texts.index), f"dates {way.replace('-', ' ')}"


def _day_or_month_first(
    sheet: Sheet, lines: pd.Series, a: pd.Series, b: pd.Series, asked: str | None, kind: str
) -> str:
    """Which of the two the file shows, or else what is asked for."""
    shows = {
        "day-first": lines & a.between(13, 31) & b.between(1, 12),
        "month-first": lines & b.between(13, 31) & a.between(1, 12),
    }
    found = [way for way, those in shows.items() if those.any()]
    if len(found) > 1 or (asked and found not in ([], [asked])):
        places = [f"{way} ({sheet.first('InvoiceDate', shows[way])})" for way in found]
        raise ShopError(
            f"{sheet.path} has dates {' and '.join(places)}"
            + (f", not {asked}." if len(found) == 1 else ": write all in one way.")
        )
    if not asked and (kind == "years of two digits" or not found):
        raise ShopError(
            f"{sheet.path} does not show which part of a date is the day "
            f"({sheet.first('InvoiceDate', lines)}): say --dates day-first or --dates month-first."
        )
    return asked or found[0]


def _check_zones(sheet: Sheet, lines: pd.Series, zoned: pd.Series) -> None:
    if (lines & zoned).any() and (lines & ~zoned).any():
        raise ShopError(
            f"{sheet.path} has dates with a time zone ({sheet.first('InvoiceDate', zoned)}) and "
            f"without ({sheet.first('InvoiceDate', lines & ~zoned)}): write all in one way."
        )


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
