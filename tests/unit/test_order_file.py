"""Files of orders as they are met: read rightly, or refused in a sentence; never guessed at."""

import bz2
import csv
import gzip
import io
import lzma
import re
import zipfile
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from helpers import steady
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecom.cli.main import main
from ecom.errors import ShopError
from ecom_lab.replay.order_file import SEVERAL, TOO_LARGE, Cancellation, Story, read

REST = "StockCode", "Description", "Quantity", "InvoiceDate"
FIRST = ["InvoiceNo", *REST, "UnitPrice", "CustomerID", "Country"]
SECOND = ["Invoice", *REST, "Price", "Customer ID", "Country"]
ROOT = Path(__file__).parents[2]
GOOD = ["1", "KITE", "A thing, white", "2", "2010-12-13 08:26:00", "2.55", "17850", "UK"]


def text_of(rows, header=FIRST, separator=",", end="\n"):
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator=end).writerows([header, *rows])
    return text.getvalue()


def rows_of(**columns):
    """Good lines of an invoice each, but for these columns: a list of values each."""
    count = len(next(iter(columns.values())))
    rows = [[str(n), *GOOD[1:]] for n in range(1, count + 1)]
    for column, values in columns.items():
        for row, value in zip(rows, values, strict=True):
            row[FIRST.index(column)] = value
    return rows


@pytest.fixture
def stored(tmp_path):
    """A file of this content: text, bytes, or rows of the first shape."""

    def store(content, name="orders.csv"):
        path = tmp_path / name
        if isinstance(content, list):
            content = text_of(content)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return store


def zipped(content, *names):
    with zipfile.ZipFile(packed := io.BytesIO(), "w") as archive:
        for name in names:
            archive.writestr(name, content)
    return packed.getvalue()


def same(text):
    return text.encode()


PACKINGS = [
    same,
    lambda text: b"\xef\xbb\xbf" + text.encode(),
    lambda text: text.encode("utf-16"),
    lambda text: gzip.compress(text.encode()),
    lambda text: bz2.compress(text.encode()),
    lambda text: lzma.compress(text.encode()),
    lambda text: zipped(text, "data/orders.csv", "__MACOSX/._orders.csv", "data/"),
]


def sweet(cents, mark, thousands, sign):
    """A price as some country writes it."""
    pounds, pence = divmod(cents, 100)
    return f"{sign}{pounds:,}".replace(",", thousands) + f"{mark}{pence:02}"


DATES = {
    "%Y-%m-%d %H:%M:%S": None,
    "%Y-%m-%dT%H:%M:%SZ": None,
    "%Y-%m-%dT%H:%M:%S+01:00": None,
    "%Y/%m/%d %H:%M": None,
    "%d/%m/%Y %H:%M": "day-first",
    "%d.%m.%Y %H:%M:%S": "day-first",
    "%m/%d/%Y %I:%M %p": "month-first",
    "%m/%d/%y %H:%M": "month-first",
    "%d-%m-%y %H:%M": "day-first",
    "serial": None,
}
MARKS = [(".", ""), (".", ","), (",", ""), (",", "."), (",", "\N{NO-BREAK SPACE}"), (".", "'")]
MISSING = ["", "nan", "NaN", "NULL", "None", "<NA>", "#N/A", "n/a", "-", "0", "0.0", "NaT", "\\N"]


def written(moment, form):
    if form == "serial":
        return f"{(moment - datetime(1899, 12, 30)) / timedelta(days=1):.6f}"
    return moment.strftime(form)


moments = st.datetimes(datetime(2009, 12, 1), datetime(2011, 12, 9)).map(
    lambda at: at.replace(second=0, microsecond=0)
)
lines = st.tuples(
    st.integers(1, 6),  # invoice
    st.sampled_from(["KITE", "22423", "85123A"]),
    st.integers(1, 5_000),
    st.integers(0, 999_999),  # pence
)
invoices = st.lists(st.tuples(moments, st.sampled_from([None, 17850, 7])), min_size=7, max_size=7)


def outcome(*arguments):
    """What the file tells, or the sentence that refuses it."""
    try:
        return read(*arguments)
    except ShopError as refusal:
        return str(refusal)


@settings(
    max_examples=steady.max_examples // 2,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    invoices,
    st.lists(lines, min_size=1, max_size=8),
    st.sampled_from(sorted(DATES)),
    st.sampled_from(MARKS),
    st.sampled_from(",;\t|"),
    st.sampled_from(PACKINGS),
    st.sampled_from(MISSING),
    st.booleans(),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["", "£", "£ "]),
    st.booleans(),
)
def test_the_same_orders_are_the_same_however_they_are_written(
    tmp_path_factory, of, some, form, marks, separator, pack, missing, old, end, sign, asked
):
    """Read as the plainest file is, or refused; nothing in between."""
    plain, odd = [], []
    for invoice, sku, units, pence in some:
        at, customer = of[invoice]
        common = str(invoice), sku, "A thing"
        who = str(customer or "")
        plain.append([*common, str(units), str(at), f"{pence / 100:.2f}", who, "UK"])
        price, when = sweet(pence, *marks, sign), written(at, form)
        quantity = f"{units:,}".replace(",", marks[1])
        ident = str(invoice) if old else f"{invoice}.0"
        who = f"{customer}.0" if customer else missing
        odd.append([ident, sku, 'A "thing"\nin two lines', quantity, when, price, who, "UK"])
    folder = tmp_path_factory.mktemp("files")
    (folder / "plain.csv").write_text(text_of(plain))
    (folder / "odd.bin").write_bytes(pack(text_of(odd, FIRST if old else SECOND, separator, end)))
    story = outcome(folder / "odd.bin", DATES[form] if asked else None)
    if isinstance(story, str):
        assert re.search(r"line \d+, (InvoiceDate|Quantity|UnitPrice|Price): '", story)
        assert not asked or "decimal" in story
        return
    expected = read(folder / "plain.csv")
    if (
        form == "serial"
    ):  # a minute of a day's fraction may be told from another's by its order only
        assert Counter(map(str, story.actions)) == Counter(map(str, expected.actions))
    else:
        assert story.actions == expected.actions
    assert not story.skipped


bits = st.sampled_from(
    [
        *",;\t\n\r\"'|.",
        *[
            "£2.55",
            "1,250",
            "2,55",
            "12/13/2010",
            "13/12/2010",
            "2010-13-01",
            "nan",
            "inf",
            "1e400",
        ],
        *["\ufeff", "٣", "C1", "-1", "KITE", "\x1b[2J", "²", "40513.35", "1_0", "0x10", "9" * 400],
    ]
) | st.text(max_size=5)
hostile = st.lists(bits, min_size=1, max_size=3).map("".join)
cells = [st.sampled_from([cell] * 9) | hostile for cell in GOOD]
values = st.tuples(*cells) | st.tuples(*cells, hostile) | st.tuples(*cells[:-1])


@settings(
    max_examples=steady.max_examples * 7 // 10,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    st.lists(values, max_size=5),
    st.booleans(),
    st.sampled_from(["day-first", None]),
    st.just(b"") | st.binary(max_size=12),
    st.integers(0, 400),
    st.booleans(),
)
def test_a_hostile_file_is_refused_or_accounted_for(
    tmp_path_factory, rows, lenient, asked, noise, place, raw
):
    """Whatever it holds: an error of ours with one sentence, or every line used or counted."""
    path = tmp_path_factory.mktemp("files") / "orders.csv"
    text = "\n".join([",".join(row) for row in [FIRST, [*GOOD[:2], "", *GOOD[3:]], *rows]])
    content = (
        text.encode("utf-8", "replace")
        if raw
        else text_of([GOOD, *rows]).encode("utf-8", "replace")
    )
    path.write_bytes(content[:place] + noise + content[place:])
    story = outcome(path, asked, lenient)
    if isinstance(story, str):
        assert story.isprintable()
        return
    taken = sum(len(order.lines) for order in story.purchases)
    taken_back = story.lines - taken - sum(story.skipped.values())
    assert taken_back >= len(story.actions) - len(story.purchases)
    assert lenient or sum(story.skipped.values()) * 2 <= story.lines
    assert set(story.first_skipped) == set(story.skipped)


@pytest.mark.parametrize(
    ("dates", "order"),
    [
        (["13/12/2010", "01/12/2010"], "21"),
        (["12/13/2010 8:26", "12/1/2010 9:00"], "21"),
        (["12/13/2010 1:00 PM", "12/13/2010 12:30 AM"], "21"),
        (["2010-12-01T10:00:00+02:00", "2010-12-01T09:30:00+01:00"], "12"),
        (["40513.5", "40513,25"], "21"),
    ],
)
def test_dates_are_in_order_whichever_way_they_are_written(stored, dates, order):
    """Which part is the day is what the file itself shows."""
    story = read(stored(rows_of(InvoiceDate=dates)))
    assert "".join(action.invoice for action in story.actions) == order


@pytest.mark.parametrize(
    ("column", "values", "says"),
    [
        ("InvoiceDate", ["01/12/2010", "02/12/2010"], "line 2, InvoiceDate: '01/12/2010'"),
        ("InvoiceDate", ["13/12/2010", "12/13/2010"], "line 3, InvoiceDate: '12/13/2010'"),
        ("InvoiceDate", ["13/12/2010", "2010-12-01"], "line 3, InvoiceDate: '2010-12-01'|line 2"),
        ("InvoiceDate", ["13/12/10", "14/12/10"], "line 2, InvoiceDate: '13/12/10'"),
        ("InvoiceDate", ["2010-13-12", "2010-12-12"], "line 2, InvoiceDate: '2010-13-12'"),
        ("InvoiceDate", ["2010-12-12 10:00Z", "2010-12-12 10:00"], "line 3, InvoiceDate"),
        ("UnitPrice", ["2.55", "2,55"], "line 3, UnitPrice: '2,55'"),
        ("UnitPrice", ["1.250", "1.500"], "line 2, UnitPrice: '1.250'"),
    ],
)
def test_what_may_mean_two_things_is_refused(stored, column, values, says):
    """The sentence names the line, the column and the value."""
    with pytest.raises(ShopError, match=says):
        read(stored(rows_of(**{column: values})))


def test_what_is_asked_for_is_not_put_above_what_the_file_shows(stored):
    """A file without evidence is read as asked; one that contradicts is refused."""
    either, other = (rows_of(InvoiceDate=[day]) for day in ("01/12/2010", "13/12/2010"))
    assert "dates month first" in read(stored(either), "month-first").understood
    with pytest.raises(ShopError, match=r"day-first \(line 2.*, not month-first"):
        read(stored(other), "month-first")


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("UnitPrice", "$2.55", r"price is not a number.*line 2, UnitPrice: '\$2.55'"),
        ("InvoiceDate", "yesterday", "date cannot be read.*line 2, InvoiceDate: 'yesterday'"),
        ("InvoiceDate", "", "line 2, InvoiceDate: ''"),
        ("InvoiceDate", "2010-02-30", "line 2, InvoiceDate: '2010-02-30'"),
        ("InvoiceDate", "2010-12-13 13:00 AM", "line 2, InvoiceDate"),
        ("CustomerID", "nobody in particular", "line 2, CustomerID: 'nobody in particular'"),
        ("CustomerID", "1.785E+04", "rounded by a spreadsheet.*line 2, CustomerID"),
        ("InvoiceNo", "5.36E+05", "rounded by a spreadsheet.*line 2, InvoiceNo"),
        ("Quantity", "٣", "quantity is not a whole number.*line 2, Quantity"),
    ],
)
def test_a_file_of_which_little_can_be_used_is_an_error(stored, column, value, says):
    """It names a column, a line and a value; `lenient` takes what is left, if anything is."""
    rows = rows_of(**{column: [value, value, GOOD[FIRST.index(column)]]})
    with pytest.raises(ShopError, match=f"2 of the 3 lines.*{says}"):
        read(stored(rows))
    assert len(read(stored(rows), lenient=True).purchases) == 1
    with pytest.raises(ShopError, match=says):
        read(stored(rows[:2]), lenient=True)


def test_prices_in_pounds_are_pounds(stored):
    """A sign before or after a number, marks of thousands; what is rounded is said."""
    story = read(stored(rows_of(UnitPrice=["£2.55", "1,234.50", "2.5 GBP", "0.001"])))
    assert [order.lines[0]["unit_price"] for order in story.purchases] == [255, 123_450, 250, 0]
    assert "1 prices rounded to whole pence" in story.understood


@pytest.mark.parametrize("missing", MISSING)
def test_a_customer_that_is_missing_is_a_guest(stored, missing):
    """However that is spelled, no guest takes back what another has ordered."""
    rows = rows_of(CustomerID=["17850.0", missing, missing], InvoiceNo=["1", "2", "C3"])
    rows[2][3] = "-2"
    story = read(stored(rows))
    assert [order.customer for order in story.purchases] == [
        "customer-17850@example.com",
        "guest-2@example.com",
    ]
    assert list(story.skipped) == ["cancellation by a guest, whose order cannot be known"]


def test_an_invoice_of_several_customers_is_left_out(stored):
    """Whose it is cannot be known."""
    rows = rows_of(InvoiceNo=["1", "1", "2", "3"], CustomerID=["17850", "7", "7", ""])
    story = read(stored(rows))
    assert [order.invoice for order in story.purchases] == ["2", "3"]
    assert story.skipped == {SEVERAL: 2}


def test_ids_that_became_floats_are_the_ids(stored):
    """As pandas writes whole numbers of a column in which one is missing."""
    rows = rows_of(InvoiceNo=["536365.0", "C536366.0"], CustomerID=["17850.0", "17850"])
    rows[0][1], rows[1][1], rows[1][3] = "22423.0", "22423", "-2"
    order, cancellation = read(stored(rows)).actions
    assert (order.invoice, order.lines[0]["sku"]) == ("536365", "22423")
    assert cancellation == Cancellation("C536366", of="536365")


def test_a_line_of_other_columns_is_counted(stored):
    """A decimal comma without quotes shifts all that follows: nothing of the line is believed."""
    lines = [",".join(row) for row in [FIRST, ["1", "KITE", "white", *GOOD[3:]]]]
    lines += [lines[1].replace("2.55", "2,55"), lines[1].removesuffix(",UK"), lines[1] + ",,"]
    story = read(stored("\n".join(lines)))
    assert story.skipped == {"not the columns of the header": 2}
    assert story.first_skipped == {
        "not the columns of the header": "line 3, the whole line: "
        "'1,KITE,white,2,2010-12-13 08:26:00,2,55,17850,UK'"
    }


def test_line_numbers_are_those_of_the_file(stored):
    """Texts of several lines and blank lines count as an editor counts them."""
    rows = rows_of(Quantity=["1", "1", "x"])
    rows[0][2] = "a\nb"
    story = read(stored(text_of(rows).replace("\n2,", "\n\n2,")))
    assert list(story.first_skipped.values()) == ["line 6, Quantity: 'x'"]


def test_a_lone_quote_swallows_no_line_unseen(stored):
    """The lines between two lone quotes look like one text of one line."""
    plain = [[*row[:2], "12 inch", *row[3:]] for row in rows_of(Quantity=["1"] * 6)]
    text = text_of(plain)
    for number in ("2", "4"):
        quote = '"12 inch' if number == "2" else '12 inch"'
        text = text.replace(f"\n{number},KITE,12 inch", f"\n{number},KITE,{quote}")
    story = read(stored(text))
    assert story.skipped == {"not the columns of the header": 1}
    with pytest.raises(ShopError, match=r"line 3 on.*quote"):
        read(stored(text_of(plain).replace("\n2,KITE,12", '\n2,KITE,"12')))


def test_letters_of_an_unknown_encoding_are_in_no_id(stored):
    """A description may be of Windows; a product code that may be two is refused."""
    rows = rows_of(UnitPrice=["£2.55"])
    rows[0][2] = "crème"
    assert "Windows-1252" in read(stored(text_of(rows).encode("cp1252"))).understood
    rows[0][1] = "CRÈME"
    with pytest.raises(ShopError, match="line 2, StockCode: 'CRÈME'"):
        read(stored(text_of(rows).encode("cp1252")))


PACKED = gzip.compress(b"x" * 1000, mtime=0)  # the same on every worker


@pytest.mark.parametrize(
    ("content", "name", "says"),
    [
        (b"<!DOCTYPE html>\n<html>", "orders.zip", "not of the Online Retail shape.*<!DOCTYPE"),
        (b"PK\x03\x04 is all there is", "orders.zip", "cannot be read as CSV"),
        (PACKED[:-9], "orders.csv.gz", "cannot be read as CSV"),
        (
            gzip.compress(b"x" * 1000, mtime=0)[:-4] + b"abcd",
            "orders.csv.gz",
            "cannot be read as CSV",
        ),
        (gzip.compress(bytes(range(256)))[:15] + b"\xff" * 99, "orders.csv.gz", "cannot be read"),
        (lzma.compress(b"x" * 1000)[:-9], "orders.csv.xz", "cannot be read as CSV"),
        (zipped("x", "a.csv", "b.csv"), "orders.zip", "holds 2 files"),
        (zipped("x", "xl/workbook.xml"), "orders.xlsx", "Excel workbook: save.*CSV"),
        (zipped(zipped("x", "xl/workbook.xml"), "a.xlsx"), "orders.zip", "Excel workbook"),
        (b"\xd0\xcf\x11\xe0", "orders.xls", "Excel workbook"),
        (text_of([GOOD]).encode("utf-16-le"), "orders.csv", "bytes of zero"),
        (text_of([]), "orders.csv", "no lines below"),
        (text_of([GOOD], [*FIRST[:-1], "Price"]), "orders.csv", "more than one column.*UnitPrice"),
        (text_of([GOOD], ["", *FIRST[1:]]), "orders.csv", "no InvoiceNo in its first line"),
        (text_of([["x" * 200_000, *GOOD[1:]]]), "orders.csv", "from line 2 on: field larger"),
    ],
)
def test_what_is_no_such_file_is_refused_in_a_sentence(stored, content, name, says):
    """By what it holds and not by its name."""
    with pytest.raises(ShopError, match=says) as refused:
        read(stored(content, name))
    assert name in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_unpacks_without_end_is_refused(stored, monkeypatch):
    """At a limit, before memory is full."""
    monkeypatch.setattr("ecom_lab.replay.columns.MAX_BYTES", 2**20)
    with pytest.raises(ShopError, match="larger than 1 MiB"):
        read(stored(gzip.compress(bytes(2**22)), "orders.csv.gz"))


def test_an_order_that_the_shop_would_refuse_stops_no_other(stored):
    """It would take the other orders of a request along."""
    rows = [["1", f"KITE{n}", "", "1000000", GOOD[4], "1000000", "7", ""] for n in range(11)]
    rows += [["2", *GOOD[1:]]] * 11
    story = read(stored(rows))
    assert [order.invoice for order in story.purchases] == ["2"]
    assert story.skipped == {TOO_LARGE: 11}


def test_the_file_to_try_is_read():
    """It is named by `ecom replay --help` and in the README, and shows one of everything."""
    assert "data/orders.csv" in CliRunner().invoke(main, ["replay", "--help"]).output
    assert "data/orders.csv" in (ROOT / "README.md").read_text()
    story = read(ROOT / "data/orders.csv")
    assert isinstance(story, Story)
    assert "dates day first" in story.understood
    assert story.adjustments == 1
    assert (len(story.purchases), len(story.actions)) == (32, 34)
    assert list(story.skipped) == ["cancels only part of an order"]


@pytest.mark.parametrize("share", ["inf", "nan", "-1", "1e9", "much"])
def test_a_share_of_stock_that_is_none_is_refused(share):
    """Before anything is opened."""
    done = CliRunner().invoke(main, ["replay", "data/orders.csv", "--stock", share])
    assert done.exit_code == 2
    assert "--stock" in done.output
    assert isinstance(done.exception, SystemExit)
