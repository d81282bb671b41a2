"""Sequence diagrams: the same steps as a picture for every viewer, and as words."""

import base64
import io
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from ecom.harness.diagrams import palette
from ecom.harness.history.diagram import KINDS, STATUSES, Diagram, Step
from ecom.shop.history import LIFELINES

STEPS = [
    Step("command", "customer", "order", "places the order"),
    Step("state", "order", "order", "PENDING"),
    Step("event", "order", "inventory", "order.created"),
    Step("event", "order", "inventory", "order.created", status="duplicate"),
    Step("retry", "inventory", "inventory", "tried 3 times", "LookupError: <not> yet & more"),
    Step("effect", "payment", "provider", "capture £24.50", status="dead"),
    Step("mail", "notification", "mailbox", "Order #1001 Confirmed"),
    Step(
        "event",
        "inventory",
        "payment",
        "inventory.processed",
        "awaited: payment.processed",
        "awaited",
    ),
]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def diagram():
    """A diagram with some of everything."""
    return Diagram("Order 1001: PENDING", STEPS)


def test_the_words_say_each_step_in_a_line(diagram):
    """Who, to whom, what, and how it fared: readable without the picture."""
    lines = diagram.text.splitlines()
    assert len(lines) == 1 + len(STEPS)
    assert lines[0] == "Order 1001: PENDING"
    assert lines[4] == "  4  order → inventory          order.created [duplicate]"
    assert lines[8].endswith("inventory.processed [awaited] (awaited: payment.processed)")
    assert repr(diagram) == diagram.text


def test_a_notebook_gets_a_picture_that_every_viewer_shows(diagram):
    """PNG and text, never HTML, scripts or SVG, which some hosts' viewers choose and then hide."""
    data, metadata = diagram._repr_mimebundle_()
    assert set(data) == {"image/png", "text/plain"}
    picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert picture.format == "PNG"
    assert metadata["image/png"]["width"] == picture.width // 2, "drawn at twice its shown size"
    assert metadata["image/png"]["alt"] == diagram.text


def test_every_step_leaves_its_mark_on_the_picture():
    """Pixels, not just a file: opaque white paper, and more ink with each step."""
    ink = []
    for n in range(len(STEPS) + 1):
        canvas = FigureCanvasAgg(Diagram("", [*STEPS[:n], *LINES]).figure())
        canvas.draw()
        picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("L")
        assert picture.getpixel((1, 1)) == 255
        ink.append(sum(picture.histogram()[:128]))
    assert ink == sorted(set(ink))


LINES = [Step("state", name, name, name) for name in LIFELINES]


def test_the_picture_keeps_the_colours_of_the_palette(diagram):
    """Though it is made small: blue is the blue that was chosen."""
    picture = Image.open(io.BytesIO(diagram.png)).convert("RGB")
    found = {"#{:02X}{:02X}{:02X}".format(*colour) for _, colour in picture.getcolors(100_000)}
    used = (
        palette.BLUE,
        palette.ORANGE,
        palette.FAILURE,
        palette.PURPLE,
        palette.CREAM,
        palette.PAPER,
    )
    assert set(used) <= found


def test_the_same_steps_give_the_same_bytes(diagram):
    """So a notebook that is run again has the same outputs."""
    again = Diagram(diagram.title, STEPS)
    assert again.png == diagram.png
    assert again.svg == diagram.svg


@pytest.mark.parametrize("name", ["$x^{$@bounce.example", "$\\frac$", "a_b^c$", "<&>\"'", "%s{0}"])
def test_text_is_text_in_a_picture(name):
    """A customer may be called as a formula is written, or as markup is."""
    step = Step("mail", "notification", "mailbox", name, note=name)
    drawn = Diagram(f"Order of {name}", [step])
    assert drawn.png
    words = [text.text for text in ET.fromstring(drawn.svg).iter(f"{SVG}text")]
    assert any(name in (word or "") for word in words)


def test_the_svg_can_be_read_by_those_who_do_not_see_it(diagram):
    """Well-formed, with title and description, and every label as real text."""
    root = ET.fromstring(diagram.svg)
    assert root.get("role") == "img"
    assert root.find(f"{SVG}title").text == diagram.title
    assert root.find(f"{SVG}desc").text == diagram.text
    words = " ".join(text.text for text in root.iter(f"{SVG}text"))
    for step in STEPS:
        assert step.label in words
    assert set(diagram.lifelines) <= set(words.split())


def test_what_is_awaited_is_dashed(diagram):
    """A line style says it, not the colour alone; so with what came twice and what died."""
    plain = [Step(step.kind, step.source, step.target, step.label) for step in STEPS]
    assert "stroke-dasharray" not in Diagram("", plain).svg
    assert len(set(re.findall("stroke-dasharray: ([^;]+)", diagram.svg))) == 3


def test_lifelines_stand_in_their_usual_places():
    """From customer to mailbox; others, like a second replica, follow; the absent are left out."""
    steps = [Step("event", "order 2", "payment", "x"), Step("event", "inventory", "order", "y")]
    assert Diagram("", steps, (), LIFELINES).lifelines == [
        "order",
        "inventory",
        "payment",
        "order 2",
    ]


@pytest.mark.parametrize("status", STATUSES)
def test_every_kind_of_step_can_be_drawn(status):
    """Along an arrow and at one lifeline, with a note, however long it is."""
    note = "a long story " * 20
    ways = [("order", "payment"), ("payment", "payment")]
    steps = [Step(kind, *way, f"{kind} label", note, status) for kind in KINDS for way in ways]
    drawn = [text.text for text in ET.fromstring(Diagram("", steps).svg).iter(f"{SVG}text")]
    for kind in KINDS:
        assert len([text for text in drawn if f"{kind} label" in text]) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_no_label_is_cut_off_at_the_right(kind):
    """The paper is as wide as the words at the last lifeline need."""
    plain = Diagram(
        "", [Step(kind, "order", "mailbox", "x"), Step(kind, "mailbox", "mailbox", "x")]
    )
    wordy = Diagram("", [*plain.steps, Step(kind, "mailbox", "mailbox", "wide words " * 6)])
    figure = wordy.figure()
    assert figure.get_figwidth() > plain.figure().get_figwidth()
    FigureCanvasAgg(figure).draw()
    assert all(text.get_window_extent().x1 <= figure.bbox.x1 for text in figure.axes[0].texts)


def test_a_diagram_without_steps_is_empty_not_an_error():
    """An order of which nothing is known yet."""
    assert Diagram("Nothing yet", []).png
    assert Diagram("Nothing yet", []).text == "Nothing yet"


def test_no_two_colours_look_alike_to_colour_blind_eyes():
    """Okabe and Ito's colours, as seen without red or green cones, stay well apart."""
    colours = [palette.BLUE, palette.GREEN, palette.ORANGE, palette.FAILURE, palette.PURPLE]
    for missing in (_protan, _deutan):
        seen = [
            missing(*(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))) for colour in colours
        ]
        for i, one in enumerate(seen):
            for other in seen[:i]:
                assert sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5 > 0.1


def _protan(r, g, b):
    """Viénot, Brettel and Mollon, 1999: without the cones for red."""
    return 0.11238 * r + 0.88762 * g, 0.11238 * r + 0.88762 * g, 0.00401 * (r - g) + b


def _deutan(r, g, b):
    """Likewise without those for green."""
    return 0.29275 * r + 0.70725 * g, 0.29275 * r + 0.70725 * g, -0.02234 * (r - g) + b
