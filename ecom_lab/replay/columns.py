"""Reads the lines of a file of columns as text: whatever packs, encodes and separates them.

A file is read in the one way that fits, or refused in a sentence; nothing is guessed.
"""

import bz2
import csv
import gzip
import io
import lzma
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ecom.errors import ShopError
from ecom.settings import shown

MAX_BYTES = 2**28  # unpacked; both data sets together have half of it
PACKED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
EXCEL = (
    "{} is an Excel workbook: save each of its sheets as CSV UTF-8 and replay that "
    "(without Excel: `soffice --convert-to csv FILE`)."
)
ENCODINGS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
COLUMNS = ["InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID"]
# How the two published shapes of the data set call them, in small letters.
KNOWN = {name.lower(): name for name in COLUMNS} | {"invoice": "InvoiceNo", "price": "UnitPrice"}
UNREADABLE = (
    *(OSError, EOFError, ValueError, RuntimeError),
    *(zlib.error, lzma.LZMAError, zipfile.BadZipFile),
)


@dataclass(frozen=True)
class Sheet:
    """The lines of a file: `COLUMNS` as text, `line` (its number), and `broken`: the whole text of
    a line that does not have the header's columns, else empty."""

    path: Path
    table: pd.DataFrame
    names: dict[str, str]  # what the file calls each of our columns
    understood: tuple[str, ...]  # of the file, in words

    def first(self, column: str, lines: pd.Series) -> str:
        """Number, column and value of the first of these lines."""
        return self.value(column, lines.idxmax())

    def value(self, column: str, at: int) -> str:
        """Number, column and value of the line at this place of the table."""
        name = self.names.get(column, "the whole line")
        return f"line {self.table.line[at]}, {name}: {shown(self.table[column][at])}"


def sheet(path: Path) -> Sheet:
    """Read the file. Raises `ShopError` if it is none of the Online Retail shapes."""
    try:
        text, encoding = _decoded(_unpacked(path))
    except UNREADABLE as error:
        why = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
        raise ShopError(f"{path} cannot be read as CSV: {why}.") from error
    if "\0" in text:
        raise ShopError(f"{path} cannot be read as CSV: it holds bytes of zero, so it is no text.")
    separator, header, ours = _header(path, text)
    table = _lines(path, text, separator, ours)[[*COLUMNS, "line", "broken"]]
    names = dict(zip(ours, header, strict=True))
    read = Sheet(path, table, names, (encoding, f"columns separated by {SEPARATORS[separator]}"))
    if not encoding.startswith("UTF"):
        _check_ascii(read)
    return read


def _unpacked(path: Path) -> bytes:
    """What is in the file, or in the only file of an archive: by its first bytes, not its name."""
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [name for name in archive.namelist() if not re.search("/$|^__MACOSX/", name)]
            if "xl/workbook.xml" in names:
                raise ShopError(EXCEL.format(path))
            if len(names) != 1:
                raise ShopError(f"{path} holds {len(names)} files: unpack it, and replay one.")
            data = archive.open(names[0]).read(MAX_BYTES + 1)
    for mark, unpack in PACKED.items():
        if data.startswith(mark):
            data = unpack(io.BytesIO(data)).read(MAX_BYTES + 1)
    if data.startswith((b"PK", b"\xd0\xcf\x11\xe0")):
        raise ShopError(EXCEL.format(path))
    if len(data) > MAX_BYTES:
        raise ShopError(f"{path} is larger than {MAX_BYTES >> 20} MiB: replay a part of it.")
    return data


def _decoded(data: bytes) -> tuple[str, str]:
    """The text, and in which encoding it is: what is not UTF-8 is of a spreadsheet on Windows."""
    for mark, encoding in ENCODINGS.items():
        if data.startswith(mark):
            return data.decode(encoding), encoding.removesuffix("-sig").upper()
    try:
        return data.decode(), "UTF-8"
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace"), "Windows-1252"


def _check_ascii(read: Sheet) -> None:
    """Another encoding gives other letters: none of them may be in what identifies something."""
    for column in ("InvoiceNo", "StockCode", "CustomerID"):
        if (other := ~read.table[column].map(str.isascii)).any():
            raise ShopError(
                f"{read.path} is not UTF-8, and what its letters are cannot be known "
                f"({read.first(column, other)}): save it as CSV UTF-8."
            )


def _header(path: Path, text: str) -> tuple[str, list[str], list[str]]:
    """The separator, the first line, and what we call its columns: "" for those we do not need."""
    missing = COLUMNS
    for separator in SEPARATORS:
        try:
            header = next(_reader(text, separator), [])
        except csv.Error:
            continue
        while header and not header[-1].strip():
            header.pop()
        ours = [KNOWN.get(re.sub(r"[\s_\ufeff-]", "", name).lower(), "") for name in header]
        if twice := [name for name in COLUMNS if ours.count(name) > 1]:
            raise ShopError(f"{path} has more than one column that may be {twice[0]}.")
        missing = min(missing, [name for name in COLUMNS if name not in ours], key=len)
        if not missing:
            return separator, header, ours
    raise ShopError(
        f"{path} is not of the Online Retail shape: no {', '.join(missing)} in its first line, "
        f"{shown(text[:100].partition(chr(10))[0])}."
    )


def _reader(text: str, separator: str) -> "csv._reader":
    return csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)


def _lines(path: Path, text: str, separator: str, columns: list[str]) -> pd.DataFrame:
    """The lines below the header, with `line` and `broken`. Blank ones are left out."""
    rows: list[list[str]] = []
    lines, width = _reader(text, separator), len(columns)
    try:
        next(lines)
        end = lines.line_num
        for row in lines:
            begin, end = end + 1, lines.line_num  # a quoted text may have several
            if row:
                # A lone quote swallows all up to the next one: ends of lines and columns, too.
                swallowed = end > begin and max(text.count(separator) for text in row) >= width - 1
                rows.append([*_fitted(row, separator, width, swallowed), str(begin)])
    except csv.Error as error:
        raise ShopError(
            f"{path} cannot be read as CSV from line {end + 1} on: {error} (a quote too many?)."
        ) from error
    if not rows:
        raise ShopError(f"{path} has no lines below its header.")
    return pd.DataFrame(rows, columns=[*columns, "broken", "line"], dtype=str)


def _fitted(row: list[str], separator: str, width: int, swallowed: bool) -> list[str]:
    """The values under the header's columns and an empty text; or none, and the line as it is."""
    if len(row) < width or any(map(str.strip, row[width:])) or swallowed:
        return [""] * width + [separator.join(row)]
    return [*map(str.strip, row[:width]), ""]
