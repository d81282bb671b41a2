"""Pictures of the saga: drawn from the code and the log, readable, and never stale."""

import xml.etree.ElementTree as ET
from itertools import combinations
from math import isnan, nan
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from ecom import Shop
from ecom.harness.history.diagram import Diagram, Step
from ecom.harness.states import hopeful, states_of
from ecom.sagas.orchestration import steps
from ecom.sandbox.cards import DECLINED_CARD
from ecom_lab.docs import pictures_command as documents
from ecom_lab.docs.choreography import Choreography
from ecom_lab.docs.coordination import machine as coordination
from ecom_lab.docs.states import layered, state_machines
from ecom_lab.shop import SAGA
from ecom_lab.timeline import CONFIRMED, OPEN, Timeline, timeline

NOBODY = pd.DataFrame(columns=["order_id", "outcome", "accepted", "confirmed", "ended"])
DOCS = Path(__file__).parents[2] / "docs"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def machines():
    return state_machines(SAGA)


@pytest.fixture(scope="module")
def lived(broker):
    """The pictures of `docs/` that need a shop, and the timeline of that shop with some more."""
    with Shop(documents.STOCK, amqp_url=broker, outside="files") as shop:
        pictures = dict(documents.lived(shop))
        shop.place("eve@example.com", {"TEAPOT": 1}, DECLINED_CARD)
        shop.settle()
        yield pictures, timeline(shop.folder)


@pytest.fixture(scope="module")
def every(lived):
    """One of every kind of picture, with what is hard to fit."""
    long = [
        Step("crash", "payment", "payment", "crash after gateway call", "a long story " * 9),
        Step("mail", "notification", "mailbox", "Out of Stock - Order #1000001 Cancelled"),
        Step("event", "order", "mailbox", "order.cancelled" * 2, "a note " * 9),
    ]
    diagram = Diagram(("A title. " * 12).strip(), long)
    lives = [*lived[0].values(), lived[1], Timeline(NOBODY)]
    return [*dict(documents.drawn()).values(), diagram, *lives]


# ── the states ────────────────────────────────────────────────────────────────────────────────
def test_what_leads_from_state_to_state_is_named(machines):
    """Events by their keys, and commands, results and deadlines in words."""
    assert machines["orders"].text.splitlines() == [
        "The states of an order: PENDING, CONFIRMED, CANCELLED",
        "           · → PENDING    place order",
        "     PENDING → CONFIRMED  inventory.committed",
        "     PENDING → CANCELLED  "
        "inventory.failed, payment.failed, inventory.expired, cancel order",
        "   CONFIRMED → CANCELLED  cancel order",
    ]
    assert machines["reservations"].arrows["HELD", "EXPIRED"] == ["hold deadline"]
    assert "order.cancelled, (tombstone)" in machines["reservations"].text


def test_every_state_and_what_leads_there_is_in_the_picture(machines):
    """As words, however they are laid out."""
    for machine in machines.values():
        for state in states_of(machine.lifecycle):
            assert f">{state}<" in machine.svg
        for words in machine.arrows.values():
            assert all(f">{line}<" in machine.svg for line in words)


def test_a_coordinator_is_drawn_with_every_state_of_its_table():
    """The way forth and the way back, though some states are in both."""
    drawn = coordination(steps(60.0))
    for state in ("HOLDING", "REFUNDING", "REJECTING", "SUCCEEDED", "UNDONE"):
        assert f">{state}<" in drawn.svg
    assert drawn.arrows["CAPTURING", "REJECTING"] == [
        "payment.failed",
        "inventory.expired",
        "overdue",
    ]
    assert hopeful(drawn.lifecycle) == {
        *("", "HOLDING", "CAPTURING", "COMMITTING", "CONFIRMING", "SUCCEEDED")
    }


def test_states_may_lead_in_a_circle():
    """Back up, to themselves, and to what was named before: everything has a place of its own."""
    arrows = [("", "a"), ("a", "b"), ("b", "a"), ("b", "b"), ("b", "c"), ("c", "a")]
    sizes = dict.fromkeys(["", "a", "b", "c", *arrows], (1.0, 0.2))
    at, _ = layered(arrows, sizes)
    assert len(set(at.values())) == len(at)
    for (x, y), (other, level) in combinations([at[node] for node in sizes], 2):
        assert abs(x - other) >= 1 or abs(y - level) >= 0.2


# ── the timeline ──────────────────────────────────────────────────────────────────────────────
def test_each_order_is_a_strip_from_accepted_to_ended(lived):
    """Confirmed and cancelled afterwards: both times; of a declined one, just the end."""
    _, drawn = lived
    rejected, undone, declined = drawn.frame.itertuples()
    assert rejected.outcome == "insufficient stock"
    assert undone.outcome == "cancelled by customer"
    assert undone.accepted <= undone.confirmed <= undone.ended
    assert declined.outcome == "card declined"
    assert isnan(declined.confirmed)
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
    frame = lived[1].frame[:1]
    open_ = pd.concat([frame.assign(outcome=OPEN, ended=nan)] * 3)
    done = frame.assign(outcome=CONFIRMED, accepted=0.0, confirmed=7.0, ended=7.0)
    picture = Timeline(pd.concat([open_, frame, done], ignore_index=True))
    assert list(picture.bands) == [CONFIRMED, "insufficient stock", OPEN]
    assert "3 not ended yet" in picture.svg
    last = picture.figure().axes[1].collections[-1]
    assert [segment[1][0] for segment in last.get_segments()] == [7.0] * 3


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
    for picture in (Choreography(SAGA), machines["orders"], Timeline(NOBODY)):
        data, metadata = picture._repr_mimebundle_()
        assert set(data) == {"image/png", "text/plain"}
        assert metadata["image/png"]["alt"] == data["text/plain"] == picture.text


def test_a_picture_is_saved_as_what_its_file_is_called(tmp_path):
    """SVG or PNG."""
    for name, begins in (("x.svg", b"<svg "), ("x.png", b"\x89PNG")):
        Choreography(SAGA).save(tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(begins)


def test_letters_are_not_too_small_on_a_telephone(machines, lived):
    """Where a picture is 400 pixels wide, most letters are 5 high at least."""
    for picture in (*dict(documents.drawn()).values(), lived[1], *lived[0].values()):
        figure = picture.figure()
        letters = sorted(text.get_size() for text in _texts(figure))
        assert letters[len(letters) // 2] * 400 / 72 / figure.get_figwidth() >= 5, picture.title


def test_the_pictures_of_the_documents_are_current(lived):
    """`ecom pictures` would write what is committed: the same words, at every place of them."""
    for name, picture in (*documents.drawn(), *lived[0].items()):
        committed = (DOCS / name).read_text()
        assert _words(committed) == _words(picture.svg), f"{name} is stale: run `ecom pictures`"


def _words(svg):
    """Title, description and labels. Curves may differ by a hair between versions of matplotlib."""
    root = ET.fromstring(svg)
    return [each.text for tag in ("title", "desc", "text") for each in root.iter(f"{SVG}{tag}")]
