"""Pictures of the saga: drawn from the code and the log, readable, and never stale."""

import logging
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from helpers import without
from matplotlib.backends.backend_agg import FigureCanvasAgg

from ecom import Shop
from ecom.effects.gateway import DECLINED_CARD
from ecom.events import OrderCancelled
from ecom.harness.diagrams.choreography import Choreography
from ecom.harness.diagrams.layout import Edge, layered
from ecom.harness.diagrams.states import state_machines
from ecom.harness.diagrams.timeline import CONFIRMED, OPEN, Timeline, timeline
from ecom.harness.history.diagram import Diagram
from ecom.harness.history.step import Step
from ecom_lab.docs import pictures as documents
from ecom_lab.docs.seen import NOTHING, WORLDS, look
from ecom_lab.simulator.scenario import Design, race

DOCS = Path(__file__).parents[2] / "docs"
SVG = "{http://www.w3.org/2000/svg}"

# The machines as the design documents them: (state, state after) for each table.
DOCUMENTED = {
    "orders": {
        (NOTHING, "PENDING"),
        ("PENDING", "CONFIRMED"),
        ("PENDING", "CANCELLED"),
        ("CONFIRMED", "CANCELLED"),
    },
    "reservations": {
        (NOTHING, "HELD"),
        (NOTHING, "REJECTED"),
        (NOTHING, "CANCELLED"),
        ("HELD", "COMMITTED"),
        ("HELD", "EXPIRED"),
        ("HELD", "RELEASED"),
        ("COMMITTED", "RELEASED"),
    },
    "payments": {
        (NOTHING, "PENDING"),
        (NOTHING, "CANCELLED"),
        ("PENDING", "CAPTURED"),
        ("PENDING", "DECLINED"),
        ("PENDING", "CANCELLED"),
        ("CANCELLED", "REFUNDING"),
        ("CAPTURED", "REFUNDING"),
        ("REFUNDING", "REFUNDED"),
    },
}


@pytest.fixture(scope="module")
def machines():
    return state_machines()


@pytest.fixture(scope="module")
def lived(broker):
    """The pictures of `docs/` that need a shop, and the timeline of that shop with some more."""
    with Shop(documents.STOCK, amqp_url=broker, outside="files") as shop:
        pictures = dict(documents.lived(shop))
        shop.place("eve@example.com", {"TEAPOT": 1}, DECLINED_CARD)
        shop.settle()
        yield pictures, shop.timeline(), timeline(shop.folder)


@pytest.fixture(scope="module")
def every(machines, lived):
    """One of every kind of picture, with what is hard to fit."""
    long = [
        Step("crash", "payment", "payment", "crash after gateway call", "a long story " * 9),
        Step("mail", "notification", "mailbox", "Out of Stock - Order #1000001 Cancelled"),
        Step("event", "order", "mailbox", "order.cancelled" * 2, "a note " * 9),
    ]
    return [
        Choreography(),
        *machines.values(),
        Diagram(("A title. " * 12).strip(), long),
        *lived[0].values(),
        lived[1],
        Timeline([]),
    ]


# ── the states ────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("table", DOCUMENTED)
def test_rows_change_their_state_as_documented(table, machines):
    """No more ways and no fewer than the documents say."""
    assert set(machines[table].arrows) == DOCUMENTED[table]


def test_no_crash_leads_to_another_state():
    """A death at any moment, a lost answer, a repeated delivery: the same machines."""
    kinds = ("crash", "late", "duplicate")
    assert look([replace(world, faults=1, kinds=kinds) for world in WORLDS[:2]]) == look(WORLDS[:2])


def test_what_leads_from_state_to_state_is_named(machines):
    """Events by their keys, and commands, answers and deadlines in words; events first."""
    arrows = machines["orders"].arrows
    assert arrows[NOTHING, "PENDING"] == ["place order"]
    assert arrows["PENDING", "CANCELLED"] == [
        "inventory.failed",
        "payment.failed",
        "inventory.expired",
        "cancel order",
    ]
    assert machines["reservations"].arrows["HELD", "EXPIRED"] == ["hold deadline"]
    assert machines["payments"].arrows["PENDING", "CAPTURED"] == ["captured"]
    assert machines["payments"].final == ["DECLINED", "REFUNDED"]
    assert "order.cancelled, (tombstone)" in machines["reservations"].text


def test_other_handlers_make_another_picture(machines):
    """A payment that ignores the cancellation is never refunded, and the picture shows it."""
    logging.getLogger("ecom").disabled = True
    changes = {"payment": lambda service: without(service, OrderCancelled)}
    try:
        other = state_machines([race(1, 0)], Design(changes=changes))["payments"]
    finally:
        logging.getLogger("ecom").disabled = False
    assert other.states == ["CAPTURED", "PENDING"]
    assert "REFUNDED" in machines["payments"].svg
    assert "REFUNDED" not in other.svg


def test_states_cannot_be_drawn_in_a_circle():
    """It is said, rather than drawn wrongly or for ever."""
    with pytest.raises(ValueError, match="circle"):
        layered([Edge("a", "b", "ab"), Edge("b", "a", "ba")], {})


# ── the timeline ──────────────────────────────────────────────────────────────────────────────
def test_each_order_is_a_strip_from_accepted_to_ended(lived):
    """Confirmed and cancelled afterwards: both times; of a declined one, just the end."""
    _, drawn, again = lived
    assert drawn.strips == again.strips
    rejected, undone, declined = drawn.strips
    assert rejected.outcome == "insufficient stock"
    assert undone.outcome == "cancelled by customer"
    assert undone.accepted <= undone.confirmed <= undone.ended
    assert declined.outcome == "card declined"
    assert declined.confirmed is None
    assert 0 == rejected.accepted <= rejected.ended <= declined.ended
    assert list(drawn.frame.columns) == ["order_id", "outcome", "accepted", "confirmed", "ended"]
    assert drawn.frame.order_id.tolist() == ["1001", "1002", "1003"]


def test_the_words_of_a_timeline_are_the_same_each_time(lived):
    """Outcomes are counted; seconds are in the frame and in the picture only."""
    assert lived[1].text.splitlines() == [
        "3 orders, from accepted to ended",
        "       1 cancelled by customer",
        "       1 card declined",
        "       1 insufficient stock",
    ]


def test_orders_that_have_not_ended_come_last_and_reach_to_now(lived):
    """However few others there are."""
    strip = lived[1].strips[0]
    open_ = [strip._replace(order_id=f"{n}", outcome=OPEN, ended=None) for n in range(3)]
    done = strip._replace(outcome=CONFIRMED, accepted=0.0, confirmed=7.0, ended=7.0)
    picture = Timeline([*open_, strip, done])
    assert list(picture.bands) == [CONFIRMED, "insufficient stock", OPEN]
    assert open_[0].lasts_until(7.0) == 7.0
    assert "3 not ended yet" in picture.svg


# ── all of them ───────────────────────────────────────────────────────────────────────────────
def test_no_words_lie_on_others_or_leave_the_paper(every):
    """Measured in the rendered picture: every text inside, and no two of them overlap."""
    for picture in every:
        figure = picture.figure()
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        width, height = canvas.get_width_height()
        boxes = [(text.get_text(), text.get_window_extent()) for text in _texts(figure)]
        for words, box in boxes:
            assert box.x0 >= 0 <= box.y0, (picture.title, words)
            assert box.x1 <= width, (picture.title, words)
            assert box.y1 <= height, (picture.title, words)
        for (one, box), (other, another) in combinations(boxes, 2):
            meet = box.x0 < another.x1 and another.x0 < box.x1 and box.y0 < another.y1 - 1
            assert not (meet and another.y0 < box.y1 - 1), (picture.title, one, other)


def _texts(figure):
    found = [*figure.texts]
    for axes in figure.axes:
        found += [
            *axes.texts,
            *([*axes.get_xticklabels(), axes.xaxis.label] if axes.axison else []),
        ]
    return [text for text in found if text.get_text().strip()]


def test_a_picture_is_words_too_and_runs_nothing(every):
    """SVG: well-formed, opaque, title and description, no script, nothing from elsewhere."""
    for picture in every:
        root = ET.fromstring(picture.svg)
        assert root.find(f"{SVG}title").text == picture.title
        assert root.find(f"{SVG}desc").text == picture.text == repr(picture)
        assert not [*root.iter(f"{SVG}script"), *root.iter(f"{SVG}image")]
        assert any(each.get("style") == "fill: #ffffff" for each in root.iter(f"{SVG}path"))


def test_a_notebook_gets_every_picture_as_png_with_its_words(machines):
    """Never SVG, which some hosts' viewers choose and then hide; the words as alternative text."""
    for picture in (Choreography(), machines["orders"], Timeline([])):
        data, metadata = picture._repr_mimebundle_()
        assert set(data) == {"image/png", "text/plain"}
        assert metadata["image/png"]["alt"] == data["text/plain"] == picture.text


def test_a_picture_is_saved_as_what_its_file_is_called(tmp_path):
    """SVG or PNG."""
    for name, begins in (("x.svg", b"<svg "), ("x.png", b"\x89PNG")):
        Choreography().save(tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(begins)


def test_the_pictures_of_the_documents_are_current(lived):
    """`ecom pictures` would write what is committed: the same words, at every place of them."""
    for name, picture in (*documents.drawn(), *lived[0].items()):
        committed = (DOCS / name).read_text()
        assert _words(committed) == _words(picture.svg), f"{name} is stale: run `ecom pictures`"


def _words(svg):
    """Title, description and labels. Curves may differ by a hair between versions of matplotlib."""
    root = ET.fromstring(svg)
    return [each.text for tag in ("title", "desc", "text") for each in root.iter(f"{SVG}{tag}")]
