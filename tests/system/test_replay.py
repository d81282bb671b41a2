"""Replaying real orders: every line of the file is ordered, cancels, or is skipped for a reason."""

import gzip
import re

import pytest

from ecom.errors import ShopError
from ecom_lab.replay.order_file import (
    GUEST,
    NOTHING,
    PART,
    STOCKROOM,
    TOO_MANY,
    Cancellation,
    Purchase,
    read,
)
from ecom_lab.replay.report import in_words, is_good, replay

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID\n"
DAY = "2010-12-{:02} 08:26:00"


@pytest.fixture
def retail_file(tmp_path):
    """Write a file of the Online Retail shape from rows of its columns but the description."""

    def write(*rows, name="orders.csv"):
        lines = [",".join([row[0], row[1], '"A thing, white"', *map(str, row[2:])]) for row in rows]
        path = tmp_path / name
        content = (HEADER + "\n".join(lines) + "\n").encode()
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return write


def line(invoice, sku="KITE", quantity=1, day=1, price="1.50", customer="17850.0"):
    """One row of such a file."""
    return (invoice, sku, quantity, DAY.format(day), price, customer)


def ordered(*lines):
    """Lines of an order as the API takes them, of (sku, units, pence a unit)."""
    return [dict(zip(("sku", "quantity", "unit_price"), line, strict=True)) for line in lines]


@pytest.mark.parametrize("name", ["orders.csv", "orders.csv.gz"])
def test_each_invoice_is_an_order(retail_file, name):
    """Its lines as they are, in pence, in order of time; gzipped or not; guests get an address."""
    story = read(
        retail_file(
            line("2", day=2, customer=""),
            line("1", "KITE", 3, price="2.55"),
            line("1", "KITE", 1, price="0"),
            line("1", "GLOBE", 2, price="0.29"),
            name=name,
        )
    )
    assert story.actions == [
        Purchase(
            "1",
            "customer-17850@example.com",
            ordered(("KITE", 3, 255), ("KITE", 1, 0), ("GLOBE", 2, 29)),
        ),
        Purchase("2", "guest-2@example.com", ordered(("KITE", 1, 150))),
    ]
    assert not story.skipped


def test_a_c_invoice_that_covers_a_whole_order_cancels_the_latest_such(retail_file):
    """Same customer, same units of the same products, however they are split over lines."""
    story = read(
        retail_file(
            line("1", "KITE", 2),
            line("1", "GLOBE", 1),
            line("2", "KITE", 1),
            line("2", "GLOBE", 1),
            line("2", "KITE", 1),
            line("C3", "GLOBE", -1),
            line("C3", "KITE", -2),
            line("C4", "GLOBE", -1),
            line("C4", "KITE", -2),
            line("C5", "GLOBE", -1),
            line("C5", "KITE", -2),
        )
    )
    assert story.actions[2:] == [Cancellation("C3", of="2"), Cancellation("C4", of="1")]
    assert story.skipped == {PART: 2}


@pytest.mark.parametrize(
    ("reason", "cancellation"),
    [
        (PART, line("C2", "KITE", -1)),
        (PART, line("C2", "KITE", -3)),
        (NOTHING, line("C2", "GLOBE", -2)),
        (NOTHING, line("C2", "KITE", -2, customer="999.0")),
        (GUEST, line("C2", "KITE", -2, customer="")),
    ],
)
def test_other_c_invoices_are_skipped_for_a_reason(retail_file, reason, cancellation):
    """Part of an order, another product, another customer, a guest: no order is cancelled."""
    story = read(retail_file(line("1", "KITE", 2), cancellation))
    assert len(story.actions) == 1
    assert story.skipped == {reason: 1}


def test_a_cancellation_before_its_order_cancels_nothing(retail_file):
    """Only what was ordered earlier can be taken back."""
    story = read(retail_file(line("C1", "KITE", -2, day=1), line("2", "KITE", 2, day=2)))
    assert story.skipped == {NOTHING: 1}


@pytest.mark.parametrize(
    ("reason", "bad"),
    [
        ("no invoice number", line("")),
        ("no product code", line("1", sku="")),
        ("quantity is not a whole number", line("1", quantity="")),
        ("quantity is not a whole number", line("1", quantity="1.5")),
        ("quantity is not a whole number", line("1", quantity="inf")),
        ("price is not a number", line("1", price="cheap")),
        ("price below zero", line("1", price="-11062.06")),
        ("quantity of zero", line("1", quantity=0)),
        ("quantity below zero, at a price", line("1", quantity=-1)),
        ("quantity above zero in a cancellation", line("C1", quantity=1)),
        ("quantity or price beyond what an order may have", line("1", quantity=1_000_001)),
        ("quantity or price beyond what an order may have", line("1", price="1e400")),
    ],
)
def test_a_line_that_cannot_be_ordered_is_counted(retail_file, reason, bad):
    """Its reason is named; the rest of its invoice is ordered."""
    story = read(retail_file(bad, line("1", "GLOBE"), line("2")))
    assert story.skipped == {reason: 1}
    assert [action.lines for action in story.actions] == [
        ordered(("GLOBE", 1, 150)),
        ordered(("KITE", 1, 150)),
    ]


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (line("1", quantity="1.5"), "line 3, Quantity: '1.5'"),
        (line("1", price="cheap"), "line 3, UnitPrice: 'cheap'"),
        (line("1", sku="a\tb"), r"line 3, StockCode: 'a\tb'"),
        (line("C9", quantity=-7), "line 3, InvoiceNo: 'C9'"),
    ],
)
def test_of_each_reason_the_first_line_is_shown(retail_file, bad, says):
    """By its number in the file (the header is the first), its column and its value."""
    story = read(retail_file(line("2"), bad, bad), lenient=True)
    assert list(story.first_skipped.values()) == [says]


def test_every_line_is_accounted_for(retail_file):
    """Lines read = lines ordered + lines that cancel + lines skipped, however long an order."""
    rows = [line("1", f"SKU{n}") for n in range(1_003)]
    rows += [line("2", "KITE", 2), line("C2", "KITE", -2), line("C3", "KITE", -1)]
    rows += [line("3", price="")]
    story = read(retail_file(*rows))
    ordered = sum(len(action.lines) for action in story.actions if isinstance(action, Purchase))
    assert story.skipped == {TOO_MANY: 3, PART: 1, "price is not a number": 1}
    assert story.lines == len(rows) == ordered + 1 + sum(story.skipped.values())


def test_a_stock_adjustment_is_an_order_for_nothing(retail_file):
    """Units written off leave the shelf without money: an order by the stockroom, and counted."""
    story = read(retail_file(line("1", quantity=-38, price="0", customer="")))
    assert story.actions == [Purchase("1", STOCKROOM, ordered(("KITE", 38, 0)))]
    assert story.adjustments == 1
    assert story.demand() == {"KITE": 38}


def test_stock_is_a_share_of_the_demand_rounded_up(retail_file):
    """At 0.9, of 10 units demanded 9 are there (not 10), of 1 unit 1."""
    story = read(retail_file(line("1", "KITE", 7), line("2", "KITE", 3), line("2", "GLOBE", 1)))
    assert story.shelves(0.9) == {"KITE": 9, "GLOBE": 1}
    assert story.shelves(0) == {"KITE": 0, "GLOBE": 0}


@pytest.mark.parametrize("content", [b"", b"\x1f\x8bnot gzip", b"a,b\n1,2\n", b'a,"\n'])
def test_a_file_of_another_shape_is_refused_in_a_sentence(tmp_path, content):
    """Empty, broken or foreign files: an error that names the file."""
    path = tmp_path / "orders.csv.gz" if content.startswith(b"\x1f") else tmp_path / "orders.csv"
    path.write_bytes(content)
    with pytest.raises(ShopError, match=r"orders\.csv"):
        read(path)


def test_a_replay_runs_to_the_end_and_reports(retail_file, broker, monkeypatch):
    """Real processes: orders by outcome, what was skipped, a rate, balanced books."""
    monkeypatch.setenv("ECOM_AMQP_URL", broker)
    rows = [line(str(n), "KITE", 2, day=1 + n % 28) for n in range(1, 51)]
    rows += [
        line("C60", "GLOBE", -1, day=30),
        line("60", "LAMP", 3, day=29, customer="7"),
        line("C61", "LAMP", -3, day=30, customer="7"),
    ]
    report = replay(retail_file(*rows), 1.0)
    counts = ("orders", "confirmed", "cancelled", "taken_back")
    assert [report[name] for name in counts] == [51, 50, 1, 1]
    assert report["cancelled_because"] == {"cancelled by customer": 1}
    assert report["skipped"] == {NOTHING: 1}
    assert report["books"] == "balanced"
    assert report["orders_per_second"] > 0
    assert is_good(report)
    assert re.match("orders +51\nconfirmed +50\ncancelled +1\n", in_words(report))
